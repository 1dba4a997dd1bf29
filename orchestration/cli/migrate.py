"""`millrace migrate`: bring the database to the newest schema and, where wished, create missing topics.

What belongs here: the command. What does not: the schema (`infra.postgres`).
"""

import click

from contract.shown import said
from orchestration import settings as settings_module


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema, views and analysts' role included.

    Safe to repeat; `millrace up` runs it at every start. With MILLRACE_MIGRATE_POSTGRES_URL, the owner's, the user of
    MILLRACE_POSTGRES_URL becomes a role with few rights.

    With MILLRACE_KAFKA_CREATE_TOPICS=true missing topics are created too.
    """
    settings = settings_module.load()
    import psycopg
    from sqlalchemy.exc import OperationalError, ProgrammingError

    import assets.aggregates.catalog  # noqa: F401  # pyright: ignore[reportUnusedImport] - the views follow from them
    from infra.postgres.analyst_role import Analysts
    from infra.postgres.migrate import UnsupportedServerError
    from infra.postgres.migrate import migrate as run_migrations
    from infra.postgres.planted import PlantedError
    from infra.postgres.service_role import ServiceRoleError, service_of
    from orchestration.factories import make_kafka
    from resources.kafka import KafkaUnavailable
    from resources.postgres import describe

    password = settings.analyst_password
    analysts = Analysts(password.get_secret_value() if password else None, settings.analyst_statement_timeout)
    owner_url = settings.migrate_postgres_url
    try:
        service = service_of(settings.postgres_url, owner_url) if owner_url else None
        run_migrations(owner_url or settings.postgres_url, analysts=analysts, service=service)
        click.echo("the database schema is up to date")
        if password is None:
            click.echo(
                "MILLRACE_ANALYST_PASSWORD is not set: the login of millrace_analyst stays as it is, at first off"
            )
        kafka = make_kafka(settings)
        for topic in settings.kafka_topics if settings.kafka_create_topics else ():
            made = kafka.create_topic(topic, settings.kafka_partitions)
            click.echo(f"topic {topic} {'was created' if made else 'is there'}")
    except OperationalError as error:
        # The driver's text names host and cause; SQLAlchemy's would add the statement.
        name = "MILLRACE_MIGRATE_POSTGRES_URL" if owner_url else "MILLRACE_POSTGRES_URL"
        raise click.ClickException(f"PostgreSQL ({name}): {said(error.orig)}") from None
    except ProgrammingError as error:
        what = describe(error.orig) if error.orig else type(error).__name__
        raise click.ClickException(f"PostgreSQL: {what}") from None
    except (PlantedError, ServiceRoleError, UnsupportedServerError) as error:
        raise click.ClickException(str(error)) from None
    except psycopg.Error as error:
        raise click.ClickException(f"the views or the roles: {describe(error)}") from None
    except KafkaUnavailable as error:
        raise click.ClickException(f"Kafka at {settings.kafka_bootstrap_servers}: {error}") from None
