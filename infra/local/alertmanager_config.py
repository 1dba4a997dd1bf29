"""Alertmanager's configuration with receivers: webhook, Slack and e-mail put into the receiver `default`.

What belongs here: receivers. What does not: which alerts go where (`monitoring/alertmanager`), and the settings
that receivers are made from (`orchestration.settings`). What is rendered may hold secrets: its owner's only.
"""

from dataclasses import dataclass
from typing import Any

import yaml

_RECEIVER = "default"
# Alertmanager's own text for Slack is its labels; on-call wants what it means and what to do.
_TITLE = "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }} ({{ .CommonLabels.severity }})"
_TEXT = """\
{{ range .Alerts }}*{{ .Annotations.summary }}*
{{ .Annotations.description }}
Runbook: {{ .Annotations.runbook_url }}
{{ with .Annotations.dashboard }}Dashboard: {{ . }}{{ end }}
{{ end }}"""


@dataclass(frozen=True, kw_only=True)
class Email:
    """Where to send e-mail, and by which server."""

    to: str
    sender: str
    smarthost: str
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Who is told; nobody by default, and alerts are to be seen in Alertmanager and Prometheus only."""

    webhook_url: str | None = None
    slack_url: str | None = None
    slack_channel: str | None = None
    email: Email | None = None


def rendered(text: str, receivers: Receivers) -> str:
    """The configuration with these receivers; all of them are told when an alert is resolved, too.

    Raises:
        ValueError: the configuration has no receiver `default`.
    """
    found: dict[str, Any] = yaml.safe_load(text)
    default = next((each for each in found["receivers"] if each["name"] == _RECEIVER), None)
    if default is None:
        raise ValueError(f"Alertmanager's configuration has no receiver {_RECEIVER}")
    default.update(_configurations(receivers))
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _configurations(receivers: Receivers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if receivers.webhook_url:
        found["webhook_configs"] = [{"url": receivers.webhook_url, "send_resolved": True}]
    if receivers.slack_url:
        slack = {"api_url": receivers.slack_url, "send_resolved": True, "title": _TITLE, "text": _TEXT}
        found["slack_configs"] = [slack | ({"channel": receivers.slack_channel} if receivers.slack_channel else {})]
    if receivers.email:
        found["email_configs"] = [_email(receivers.email)]
    return found


def _email(email: Email) -> dict[str, Any]:
    found: dict[str, Any] = {"to": email.to, "from": email.sender, "smarthost": email.smarthost, "send_resolved": True}
    # A relay that wants no password may well not speak TLS; a password never travels without it.
    found["require_tls"] = email.user is not None
    if email.user is not None:
        found |= {"auth_username": email.user, "auth_password": email.password or ""}
    return found
