"""`millrace alertmanager-config`: Alertmanager's configuration with the receivers of the settings, for a server.

What belongs here: the command. What does not: routes (`monitoring/alertmanager`) and rendering
(`infra.local.alertmanager_config`).
"""

import os
from pathlib import Path

import click

from orchestration import settings as settings_module


@click.command("alertmanager-config")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this file, readable by its owner only, instead of printing it.",
)
def alertmanager_config(output: Path | None) -> None:
    """Print Alertmanager's configuration: Millrace's routes, and who is told by the MILLRACE_ALERT_* settings.

    \b
    A webhook:  MILLRACE_ALERT_WEBHOOK_URL
    Slack:      MILLRACE_ALERT_SLACK_URL, and MILLRACE_ALERT_SLACK_CHANNEL where the webhook may choose one
    E-mail:     MILLRACE_ALERT_EMAIL_TO, MILLRACE_ALERT_EMAIL_FROM, MILLRACE_ALERT_SMTP_HOST=host:port, and
                MILLRACE_ALERT_SMTP_USER and MILLRACE_ALERT_SMTP_PASSWORD where the server wants them

    Set as many as you like; each is told of the same alerts, and when they are resolved. With none, alerts are only
    to be seen in Prometheus and Alertmanager. `millrace up` does all this by itself; this command is for an
    Alertmanager of your own:

    \b
    millrace alertmanager-config --output alertmanager.yml
    amtool check-config alertmanager.yml
    alertmanager --config.file=alertmanager.yml

    What it prints holds the secrets of the settings. It needs no other setting, and reaches for no service.
    """  # noqa: D301 - click's \b is that very character
    from infra.local import alertmanager_config as alertmanager
    from infra.local import files
    from infra.local.monitoring import FOLDER
    from orchestration.receivers import receivers

    settings = settings_module.load({**os.environ, **settings_module.PLACES})
    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text()
    rendered = alertmanager.rendered(text, receivers(settings))
    if output is None:
        click.echo(rendered, nl=False)
        return
    try:
        files.write(output.absolute(), rendered, 0o600)
    except OSError as error:
        raise click.ClickException(f"it cannot be written: {error}") from None
    click.echo(f"written to {output}")
