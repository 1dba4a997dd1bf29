"""Every setting of Millrace: its name, default, meaning and example. The environment is read here and nowhere else.

What belongs here: a setting that an operator may change. What does not: constants that nobody should change
(they stand beside the code that needs them), how values are written (`setting_values`), and clients made from settings
(`orchestration.definitions`).
"""

import os
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from orchestration import setting_values as values
from orchestration.secret_files import SettingsError, with_files
from orchestration.setting_values import Duration, PostgresUrl, RedisUrl, SecretUrl

PREFIX = "MILLRACE_"


def _needs(*others: str) -> Callable[[str, ValidationInfo], str]:
    """A check that settings which stand before this one in `Settings` are set."""

    def check(value: str, found: ValidationInfo) -> str:
        if absent := [variable(name) for name in others if not found.data.get(name)]:
            raise ValueError(f"needs {' and '.join(absent)} too")
        return value

    return check


class Settings(BaseSettings):
    """All settings, validated. Made by `load`; everything else is handed plain values from it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    postgres_url: PostgresUrl = Field(
        description="The PostgreSQL database that holds the events, Millrace's own tables and Dagster's.",
        examples=["postgresql://millrace:password@localhost:5432/millrace"],
    )
    redis_url: RedisUrl = Field(
        description="The Redis that remembers event ids for the dedup window. Optional at run time: while it is "
        "away, PostgreSQL alone de-duplicates.",
        examples=["redis://localhost:6379/0"],
    )
    broker_url: RedisUrl = Field(
        description="Celery's Redis, through which runs reach the workers. A server of its own, never evicting.",
        examples=["redis://localhost:6380/0"],
    )
    kafka_bootstrap_servers: Annotated[str, BeforeValidator(values.bootstrap_servers)] = Field(
        description="Where Kafka is.", examples=["localhost:9092"]
    )
    kafka_topics: Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.topics)] = Field(
        default=("user-events",), description="The topics to ingest, separated by commas.", examples=["user-events"]
    )
    kafka_options: Annotated[Mapping[str, str], NoDecode, BeforeValidator(values.options)] = Field(
        default_factory=dict,
        description="More librdkafka properties for every Kafka client, as a JSON object: TLS, SASL. And one of our "
        "own, `millrace.token.file`: where the token of SASL/OAUTHBEARER is. docs/settings.md lists which can be set; "
        "those that exactness stands on cannot.",
        examples=['{"security.protocol": "SSL", "ssl.ca.location": "/run/secrets/ca.pem"}'],
    )
    kafka_group_id: str = Field(
        default="millrace",
        min_length=1,
        description="The consumer group whose offsets are committed as a courtesy to lag tools.",
        examples=["millrace"],
    )
    kafka_create_topics: bool = Field(
        default=False,
        description="Create missing topics at start-up (the embedded stack does); else a missing topic is reported.",
        examples=["false"],
    )
    kafka_partitions: int = Field(
        default=4, ge=1, le=10_000, description="Partitions of a topic that Millrace creates.", examples=["4"]
    )
    lanes: int = Field(
        default=2,
        ge=1,
        le=1_000,
        description="How many runs ingest side by side; each has every lanes-th partition. One worker process a lane.",
        examples=["2"],
    )
    max_events_per_run: int = Field(
        default=500_000, ge=1, description="The most Kafka offsets that one plan hands to one run.", examples=["500000"]
    )
    chunk_events: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Events a transaction; with chunk_bytes it bounds a worker's memory.",
        examples=["20000"],
    )
    chunk_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="Bytes of Kafka values a transaction.", examples=["33554432"]
    )
    max_value_bytes: int = Field(
        default=1024 * 1024,
        ge=1024,
        description="A Kafka value above this is dead-lettered as too_large.",
        examples=["1048576"],
    )
    max_future: Duration = Field(
        default=timedelta(minutes=5),
        description="How far ahead of the clock an event's timestamp may be.",
        examples=["5m"],
    )
    min_timestamp: Annotated[datetime | None, NoDecode, BeforeValidator(values.moment)] = Field(
        default=datetime(2000, 1, 1, tzinfo=UTC),
        description="The oldest timestamp accepted, as a date or an ISO 8601 time with an offset; an older event is "
        "dead-lettered as timestamp_too_old (the zero time of many languages is year 1). `off` accepts all years.",
        examples=["2000-01-01", "off"],
    )
    dedup_window: Duration = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        description="How long Redis remembers an event id at least; at most twice as long (about 111 bytes each).",
        examples=["1h"],
    )
    sensor_interval: Duration = Field(
        default=timedelta(seconds=1),
        ge=timedelta(seconds=1),
        description="How often the sensor looks at Kafka's offsets; whole seconds.",
        examples=["1s"],
    )
    run_linger: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(0),
        description="How long a run goes on polling for new records after its plan is done; 0 for not at all.",
        examples=["5s"],
    )
    run_max_runtime: Duration = Field(
        default=timedelta(seconds=120),
        ge=timedelta(seconds=10),
        description="After this a run is ended by Dagster; at half of it a run stops at the next chunk by itself.",
        examples=["120s"],
    )
    progress_timeout: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=1),
        description="A run without progress for this long is replaced, and a database session that blocks is ended.",
        examples=["30s"],
    )
    freshness: Duration = Field(
        default=timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="How old the aggregates of the current hour may be; those of earlier hours, which late events "
        "reach, twice as old.",
        examples=["15s"],
    )
    refresh_workers: int | None = Field(
        default=None,
        ge=1,
        le=3,
        description="How many transactions take events into the groups of aggregates (hourly, users, security) at "
        "once. Fewer than three: some groups share one. Not set: half of this machine's processors.",
        examples=["3"],
    )
    history_start: date | None = Field(
        default=None,
        description="The first day of the partitions in Dagster. Not set: the day of the first event, at most two "
        "years back, and not before a pause of three months. Aggregates hold earlier days too.",
        examples=["2025-01-01"],
    )
    asset_owners: Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.owners)] = Field(
        default=("team:analytics",),
        description="Who owns the aggregates, as the UI shows it: teams or e-mail addresses, separated by commas.",
        examples=["team:analytics"],
    )
    docs_url: Annotated[str, Field(pattern=r"^https?://\S+/$")] | None = Field(
        default=None,
        description="Where docs/ can be read in a browser, with a slash at the end: descriptions in Dagster's UI link "
        "to it; not set, they name the files. `millrace up` sets it to the pages of its dashboards.",
        examples=["https://git.example.com/millrace/blob/main/docs/"],
    )
    audit_window: Duration = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        le=timedelta(days=31),
        description="How far back the audit of logins counts users of an address and addresses of a user.",
        examples=["1h"],
    )
    audit_users_per_address: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="So many users from a login's address in the window: it is flagged many_users_from_address.",
        examples=["10"],
    )
    audit_addresses_per_user: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="So many addresses of a login's user in the window: it is flagged many_addresses_for_user.",
        examples=["4"],
    )
    audit_burst_window: Duration = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        le=timedelta(days=31),
        description="How far back the audit of logins counts a user's logins for burst.",
        examples=["1m"],
    )
    audit_burst_logins: int = Field(
        default=5,
        ge=1,
        le=10_000,
        description="So many logins of a user in the burst window: the login is flagged burst.",
        examples=["5"],
    )
    audit_session: Duration = Field(
        default=timedelta(hours=12),
        gt=timedelta(0),
        le=timedelta(days=31),
        description="How long the audit takes a session for open that has no logout. After a change of an audit "
        "setting the rows that are there follow when they are rebuilt.",
        examples=["12h"],
    )
    funnel: Annotated[Path, AfterValidator(values.funnel_file)] | None = Field(
        default=None,
        description="A file with the steps of the funnel, in the shape of assets/aggregates/funnel.toml, "
        "which is the default. After a change the days that there are follow by themselves, the newest first.",
        examples=["funnel.toml"],
    )
    analyst_password: SecretStr | None = Field(
        default=None,
        description="The password of the role millrace_analyst, which `millrace migrate` makes: it reads analytics and "
        "raw.events only. Unset, the role is made without a login.",
        examples=["choose-one"],
    )
    migrate_postgres_url: PostgresUrl | None = Field(
        default=None,
        description="The same database as its owner, for `millrace migrate` alone, which then makes the user of "
        "MILLRACE_POSTGRES_URL a role with the rights that the processes need and no more. Unset, that user is the "
        "owner.",
        examples=["postgresql://owner:password@localhost:5432/millrace"],
    )
    analyst_statement_timeout: Duration = Field(
        default=timedelta(seconds=60),
        ge=timedelta(milliseconds=100),
        le=timedelta(days=7),
        description="How long a query of millrace_analyst may take.",
        examples=["60s"],
    )
    run_history: Duration = Field(
        default=timedelta(hours=6),
        ge=timedelta(minutes=10),
        description="How long Dagster keeps finished runs of ingest, refreshes and upkeep; what the UI shows stays.",
        examples=["6h"],
    )
    failed_run_history: Duration = Field(
        default=timedelta(days=7),
        ge=timedelta(minutes=10),
        description="How long Dagster keeps failed and cancelled runs of the same jobs.",
        examples=["7d"],
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days before today for which raw events are kept; older ones are dropped, and expire on arrival. "
        "0: all are kept.",
        examples=["0"],
    )
    ledger_days: int = Field(
        default=7,
        ge=1,
        le=36_500,
        description="Days that the ledger keeps every batch; older ones become a sum an hour and cannot be replayed.",
        examples=["7"],
    )
    dead_letter_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="Days that dead letters are kept after they were resolved or discarded; open ones stay for ever.",
        examples=["90"],
    )
    audit_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="Days that ops.audit_log is kept: who redrove, discarded, erased or dropped what.",
        examples=["400"],
    )
    pushgateway_url: SecretUrl | None = Field(
        default=None,
        description="Prometheus' Pushgateway, which metrics are pushed to; may carry a user and a password. Unset, "
        "metrics are off.",
        examples=["http://localhost:9091"],
    )
    metrics_interval: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=1),
        description="How often metrics are pushed beside what runs push; sizes of tables at most twice a minute.",
        examples=["5s"],
    )
    postgres_capacity_bytes: int = Field(
        default=0,
        ge=0,
        description="How large the database may become, for the forecast of when it is full. 0: unknown.",
        examples=["0"],
    )
    alert_webhook_url: SecretUrl | None = Field(
        default=None,
        description="Where Alertmanager posts alerts and their resolutions, as JSON. This and the other settings of "
        "alerts are for `millrace up` and `millrace alertmanager-config`.",
        examples=["https://example.org/alerts"],
    )
    alert_slack_url: SecretUrl | None = Field(
        default=None,
        description="An incoming webhook of Slack that alerts are sent to.",
        examples=["https://hooks.slack.com/services/..."],
    )
    alert_slack_channel: str | None = Field(
        default=None, description="The channel in Slack, where the webhook may choose one.", examples=["#on-call"]
    )
    alert_smtp_host: Annotated[str, AfterValidator(values.host_and_port)] | None = Field(
        default=None,
        description="The server that sends alerts by e-mail, host:port. TLS is required where a user is given.",
        examples=["smtp.example.org:587"],
    )
    alert_smtp_user: str | None = Field(
        default=None, description="The user of that server; none by default.", examples=["millrace"]
    )
    alert_smtp_password: SecretStr | None = Field(
        default=None, description="The password of that user.", examples=["choose-one"]
    )
    alert_email_from: str | None = Field(
        default=None, description="The sender of alerts by e-mail.", examples=["millrace@example.org"]
    )
    alert_email_to: Annotated[str, AfterValidator(_needs("alert_smtp_host", "alert_email_from"))] | None = Field(
        default=None,
        description="Who gets alerts by e-mail, addresses separated by commas; needs MILLRACE_ALERT_SMTP_HOST and "
        "MILLRACE_ALERT_EMAIL_FROM.",
        examples=["on-call@example.org"],
    )
    webserver_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.hosts)] = Field(
        default=(),
        description="The names or addresses, separated by commas and without a port, that people type to reach "
        "`millrace webserver` other than by localhost: an ingress or a load balancer that keeps the Host. It refuses "
        "every other Host. Behind the proxy in infra/docker none is needed.",
        examples=["millrace.example.org"],
    )
    failpoints: Path | None = Field(
        default=None,
        description="For tests of Millrace only: a directory of failpoints, see assets/ingest/worker.py.",
        examples=[""],
    )


# Where the services are. Who does not reach for them may put these in, to have the other settings checked.
PLACES: Mapping[str, str] = MappingProxyType(
    {
        "MILLRACE_POSTGRES_URL": "postgresql://localhost/millrace",
        "MILLRACE_REDIS_URL": "redis://localhost",
        "MILLRACE_BROKER_URL": "redis://localhost",
        "MILLRACE_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    }
)


class _Given(Settings):
    """Settings of which none comes from the process's environment."""

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def variable(field: str) -> str:
    """The name of the environment variable of a field of `Settings`."""
    return PREFIX + field.upper()


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings, each from its variable or from the file that the variable with _FILE names.

    Args:
        environment: instead of the process's own, for tests and for handing one stack's settings on.

    Raises:
        SettingsError: one line for each setting that is missing or wrong: which, what is wrong, an example.
    """
    found = with_files(os.environ if environment is None else environment)
    given = {name: found[variable(name)] for name in Settings.model_fields if found.get(variable(name))}
    try:
        return _Given.model_validate(given)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(error))) from None


def load_some(fields: Collection[str], **instead: str) -> Settings:
    """The settings of a command that needs only these: the others are filled in with examples, and never looked at.

    Args:
        fields: of `Settings`.
        **instead: values of some of them, in place of the environment's.

    Raises:
        SettingsError: one of these is missing or wrong.
    """
    found = with_files({name: value for name, value in os.environ.items() if _is_one_of(name, fields)})
    given = {**found, **{variable(name): value for name, value in instead.items()}}
    for name, field in Settings.model_fields.items():
        if field.is_required() and name not in fields:
            given[variable(name)] = str((field.examples or [""])[0])
    return load(given)


def _is_one_of(name: str, fields: Collection[str]) -> bool:
    return name.removesuffix("_FILE") in map(variable, fields)


def _complaints(error: ValidationError) -> list[str]:
    lines: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        field = Settings.model_fields.get(name.lower().removeprefix(PREFIX.lower()))
        examples: list[Any] = (field.examples or []) if field else []
        name = variable(name) if not name.upper().startswith(PREFIX) else name
        what = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {what}; for example {name}={examples[0] if examples else ''}")
    return lines
