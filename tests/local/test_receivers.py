import dataclasses
import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from infra.local import monitoring
from infra.local.alertmanager_config import Email, Receivers, rendered
from orchestration import settings as settings_module
from orchestration.cli.alertmanager_config import alertmanager_config
from orchestration.receivers import receivers
from tests.support.monitoring import program

_EMAIL = Email(to="a@example.org, b@example.org", sender="m@example.org", smarthost="smtp.example.org:587")
_EVERYBODY = Receivers(
    webhook_url="https://example.org/alerts?token=geheim",
    slack_url="https://hooks.slack.com/services/geheim",
    slack_channel="#on-call",
    email=dataclasses.replace(_EMAIL, user="millrace", password="geheim: '\"#{}"),
)


@pytest.mark.parametrize(
    "told",
    [
        Receivers(),
        Receivers(webhook_url="http://localhost:1/"),
        Receivers(slack_url=_EVERYBODY.slack_url),
        Receivers(email=_EMAIL),
        _EVERYBODY,
    ],
)
def test_alertmanager_accepts_every_combination_of_receivers(told: Receivers, tmp_path: Path) -> None:
    check = (program("amtool"), "check-config", tmp_path / "alertmanager.yml")
    monitoring.notify(tmp_path, told)
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert stat.S_IMODE((tmp_path / "alertmanager.yml").stat().st_mode) == 0o600
    [default] = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())["receivers"]
    configurations = [each for name, several in default.items() if name != "name" for each in several]
    assert len(configurations) == sum(map(bool, (told.webhook_url, told.slack_url, told.email)))
    assert all(each["send_resolved"] for each in configurations)


def test_a_password_is_only_sent_over_tls() -> None:
    text = "receivers: [{name: default}]"
    for email in (_EMAIL, _EVERYBODY.email):
        [receiver] = yaml.safe_load(rendered(text, Receivers(email=email)))["receivers"]
        assert receiver["email_configs"][0]["require_tls"] is (email is _EVERYBODY.email)


_TOLD = {
    "MILLRACE_ALERT_WEBHOOK_URL": "https://example.org/alerts?token=geheim",
    "MILLRACE_ALERT_SLACK_URL": "https://hooks.slack.com/services/geheim",
    "MILLRACE_ALERT_SLACK_CHANNEL": "#on-call",
    "MILLRACE_ALERT_EMAIL_TO": "a@example.org, b@example.org",
    "MILLRACE_ALERT_EMAIL_FROM": "m@example.org",
    "MILLRACE_ALERT_SMTP_HOST": "smtp.example.org:587",
    "MILLRACE_ALERT_SMTP_USER": "millrace",
    "MILLRACE_ALERT_SMTP_PASSWORD": "geheim: '\"#{}",
}


def test_the_settings_become_receivers_and_are_not_shown() -> None:
    settings = settings_module.load({**settings_module.PLACES, **_TOLD})
    assert receivers(settings) == _EVERYBODY
    assert receivers(settings_module.load(settings_module.PLACES)) == Receivers()
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"MILLRACE_ALERT_EMAIL_TO": "a@example.org"}, "needs MILLRACE_ALERT_SMTP_HOST and MILLRACE_ALERT_EMAIL_FROM"),
        ({"MILLRACE_ALERT_SMTP_HOST": "smtp.example.org"}, "expected host:port"),
        ({"MILLRACE_ALERT_WEBHOOK_URL": "geheim"}, "expected a URL that begins with http"),
    ],
)
def test_a_setting_that_tells_nobody_is_refused(wrong: dict[str, str], complaint: str) -> None:
    with pytest.raises(settings_module.SettingsError) as refused:
        settings_module.load({**settings_module.PLACES, **wrong})
    [line] = str(refused.value).splitlines()
    assert complaint in line
    assert "geheim" not in line


def test_the_command_prints_the_configuration_or_writes_it_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    environment = {name: "" for name in os.environ if name.startswith("MILLRACE_")} | _TOLD
    printed = CliRunner().invoke(alertmanager_config, [], env=environment)
    written = CliRunner().invoke(alertmanager_config, ["--output", str(path)], env=environment)
    assert (printed.exit_code, written.exit_code) == (0, 0)
    assert path.read_text() == printed.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "geheim" not in written.output
