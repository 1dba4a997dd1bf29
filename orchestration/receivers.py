"""Who receives alerts, from the settings.

What belongs here: that translation. What does not: how Alertmanager is configured (`infra.local.alertmanager_config`).
"""

from pydantic import SecretStr

from infra.local.alertmanager_config import Email, Receivers
from orchestration.settings import Settings


def receivers(settings: Settings) -> Receivers:
    """The receivers that are set; what it returns holds secrets."""
    return Receivers(
        webhook_url=_revealed(settings.alert_webhook_url),
        slack_url=_revealed(settings.alert_slack_url),
        slack_channel=settings.alert_slack_channel,
        email=_email(settings),
    )


def _email(settings: Settings) -> Email | None:
    if not (settings.alert_email_to and settings.alert_email_from and settings.alert_smtp_host):
        return None
    return Email(
        to=settings.alert_email_to,
        sender=settings.alert_email_from,
        smarthost=settings.alert_smtp_host,
        user=settings.alert_smtp_user,
        password=_revealed(settings.alert_smtp_password),
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
