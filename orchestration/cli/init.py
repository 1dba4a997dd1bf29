"""`millrace init`: the settings and secrets of a deployment with Docker Compose.

What belongs here: the command. What does not: what is written (`infra.docker.deployment_files`).
"""

from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current one",
    help="Where compose.yaml is, and where to write.",
)
def init(directory: Path) -> None:
    """Write .env and secrets/ for Docker Compose, with random secrets.

    What is there already is never overwritten; a file that is missing is made, so it is safe to repeat.
    """
    from infra.docker import deployment_files

    try:
        made = deployment_files.initialise(directory)
    except deployment_files.IncompleteError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    for path in made:
        click.echo(f"made {path}")
    click.echo(
        f"{'Nothing to do: all is there.' if not made else 'What was there before is as it was.'}\n"
        "Next: look at .env (which containers, where alerts go), then `docker compose up --detach --wait` here."
    )
