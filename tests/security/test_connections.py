"""Every client of ours speaks TLS where its settings say so, and says in one line, without a password, what is wrong.

Real servers, one throw-away authority. A wrong authority, a wrong host name and plain text are each refused.
"""

import base64
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kombu.pools
import psycopg
import psycopg2
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from dagster import DagsterInstance
from kombu.exceptions import OperationalError

from assets.quality.reconcile import reconcile
from monitoring.metrics.collect.unread import Behind, Unread
from orchestration.cli.migrate import migrate
from orchestration.dagster_runtime import broker
from orchestration.dagster_runtime.pool import dagster_url, shared_engine
from orchestration.dagster_runtime.run_tracker import RunTracker
from orchestration.factories import make_kafka
from orchestration.settings import Settings, load
from producer.client import connect, partitions
from producer.config import ProducerConfig, ProducerError
from resources.kafka import Kafka, KafkaUnavailable
from resources.postgres import Postgres, describe
from resources.redis import Redis, RedisUnavailable
from tests.security.servers import READABLE, READER, Secure
from tests.support.cluster import PASSWORD
from tests.support.world import World, encoded, event, out_of_balance
from tests.upkeep.dagster_tables import instance_in

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

_ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def migrated(secure: Secure) -> Secure:
    """The servers with Millrace's tables and a topic, made by the command, over TLS."""
    answer = run_migrate(secure, MILLRACE_KAFKA_CREATE_TOPICS="true", MILLRACE_KAFKA_PARTITIONS="1")
    assert answer.exit_code == 0, answer.output
    assert "topic user-events was created" in answer.output
    return secure


def run_migrate(secure: Secure, **environment: str) -> Result:
    """`millrace migrate` on the servers with TLS."""
    return CliRunner().invoke(migrate, [], env={**secure.environment(), **environment})


def assert_tells(text: str, what: str, secure: Secure) -> None:
    """One line that says what is wrong, and no password."""
    assert what in text
    assert "\n" not in text.strip()
    assert secure.password not in text
    assert PASSWORD not in text


@pytest.fixture
def world(migrated: Secure, tmp_path: Path) -> Iterator[World]:
    """A worker whose every connection is encrypted."""
    failpoints = tmp_path / "failpoints"
    failpoints.mkdir()
    settings = load({**migrated.environment(), "MILLRACE_RUN_LINGER": "0"})
    made = World(migrated.services, settings, "user-events", failpoints)
    yield made
    made.worker.close()
    made.aggregates.close()


def producer_config(settings: Any, **options: str) -> ProducerConfig:
    """As `millrace produce` would have it."""
    return ProducerConfig(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        topic="user-events",
        kafka_options={**settings.kafka_options, **options},
        connect_timeout=1.5,
    )


def test_events_reach_the_tables_with_tls_and_a_login_everywhere(world: World) -> None:
    [twice] = encoded(event())
    world.produce([twice, twice, *encoded(event()), b"{"], options=dict(world.settings.kafka_options))
    world.ingest()
    world.refresh()
    totals = world.totals()
    assert (totals["stored"], totals["duplicates"], totals["dead_letters"]) == (2, 1, 1)
    assert world.one("select bool_or(dedup_degraded) from ops.batches") is False
    assert world.one("select sum(duplicates_redis)::int from ops.batches") == 1
    verdicts = reconcile(world.worker.kafka, world.worker.postgres, world.worker.decoder, ("user-events",))
    assert out_of_balance(verdicts) == []


def test_with_the_rights_in_kafka_that_the_docs_name_all_that_reads_works(world: World) -> None:
    world.produce([*encoded(event()), b"{"], options=dict(world.settings.kafka_options))
    reader = world.another_worker(kafka_options={**world.settings.kafka_options, "sasl.username": READER})
    world.ingest(reader)
    [there] = reader.kafka.available([READABLE])
    told = reader.kafka.consumer().committed([TopicPartition(READABLE, 0)], 10)
    assert [each.offset for each in told] == [there.high], "what is committed is told to Kafka as the group's offset"
    assert out_of_balance(reconcile(reader.kafka, reader.postgres, reader.decoder, (READABLE,))) == []
    unread = Unread(reader.kafka)
    assert unread.oldest([Behind(READABLE, there.topic_id, 0, there.high - 1, there.high)], time.time()) is not None
    unread.close()
    reader.close()


def test_kafka_refuses_to_whom_has_these_rights_what_the_docs_do_not_name(world: World) -> None:
    world.worker.kafka.create_topic("of-others", 1)
    options = {**world.settings.kafka_options, "sasl.username": READER}
    kafka = make_kafka(world.settings.model_copy(update={"kafka_options": options}))
    with pytest.raises(KafkaUnavailable, match="uthorization failed"):
        kafka.topic_ids(["of-others"])
    with pytest.raises(KafkaUnavailable, match="uthorization failed"):
        kafka.create_topic("made-by-the-reader", 1)
    assert world.produce([b"x"], options=options) == [-1]
    admin = AdminClient({"bootstrap.servers": world.settings.kafka_bootstrap_servers, **options})
    own = AclBinding(
        *(ResourceType.TOPIC, "of-others", ResourcePatternType.LITERAL, f"User:{READER}", "*"),
        *(AclOperation.READ, AclPermissionType.ALLOW),
    )
    asked = (
        *admin.delete_topics([READABLE]).values(),
        *admin.delete_records([TopicPartition(READABLE, 0, 1)]).values(),
        *admin.delete_consumer_groups(["of-others"]).values(),
        *admin.create_acls([own]).values(),
    )
    for future in asked:
        with pytest.raises(KafkaException, match=r"(?i)authorization.failed"):
            future.result(10)


def test_the_metrics_look_at_unread_records_over_tls(world: World) -> None:
    world.produce(encoded(event()), options=dict(world.settings.kafka_options))
    kafka = world.worker.kafka
    [there] = kafka.available(["user-events"])
    behind = Behind("user-events", there.topic_id, 0, there.high - 1, there.high)
    unread = Unread(kafka)
    age = unread.oldest([behind], time.time())
    unread.close()
    assert age is not None
    assert 0 <= age < 60


def test_the_producer_asks_over_tls(migrated: Secure) -> None:
    config = producer_config(load(migrated.environment()))
    assert partitions(connect(config, lambda _: None), config) == 1


def test_psycopg_is_encrypted(migrated: Secure) -> None:
    with Postgres(migrated.postgres()).connect("test") as connection:
        assert connection.execute(_ENCRYPTED).fetchone() == (True,)


def test_dagsters_storages_are_encrypted(migrated: Secure, tmp_path: Path) -> None:
    with instance_in(migrated.postgres(), tmp_path / "home") as instance:
        assert instance.get_runs_count() == 0
    with shared_engine(dagster_url(migrated.postgres())).connect() as connection:
        assert connection.exec_driver_sql(_ENCRYPTED).scalar_one() is True
    assert isinstance(instance, DagsterInstance)


def test_runs_are_sent_to_the_workers_over_tls(secure: Secure) -> None:
    celery = broker.client(secure.redis("broker"))
    run_id = str(uuid.uuid4())
    celery.send_task("millrace.execute", args=[run_id], task_id=run_id, queue="of-a-test")
    assert RunTracker(celery).waiting("of-a-test") == {run_id}
    assert Redis(secure.redis("broker")).call(lambda client: client.llen("of-a-test")) == 1


KAFKA_FAULTS: dict[str, tuple[Callable[[Secure], dict[str, str]], str]] = {
    "another authority": (lambda s: s.kafka(authority=s.other), "certificate"),
    "another host name": (lambda s: s.kafka(host="127.0.0.1"), "certificate"),
    "plain text": (lambda s: s.kafka({"security.protocol": "PLAINTEXT"}), "security.protocol"),
    "a wrong password": (lambda s: s.kafka({"sasl.password": "wrong"}), "uthentication"),
    "no such file": (lambda s: s.kafka({"ssl.ca.location": "/nowhere.pem"}), "ssl.ca.location"),
}


@pytest.fixture(scope="module")
def told_by_kafka(secure: Secure) -> dict[str, str]:
    """What each fault leads to, all at once: each takes the five seconds that a request has."""

    def ask(make: Callable[[Secure], dict[str, str]]) -> str:
        with pytest.raises(KafkaUnavailable) as caught:
            make_kafka(load({**secure.environment(), **make(secure)})).topic_ids(["user-events"])
        return str(caught.value)

    with ThreadPoolExecutor(len(KAFKA_FAULTS)) as pool:
        answers = pool.map(ask, [make for make, _ in KAFKA_FAULTS.values()])
        return dict(zip(KAFKA_FAULTS, answers, strict=True))


@pytest.mark.parametrize("fault", KAFKA_FAULTS)
def test_kafka_refuses_and_it_is_told_why(secure: Secure, told_by_kafka: dict[str, str], fault: str) -> None:
    assert_tells(told_by_kafka[fault], KAFKA_FAULTS[fault][1], secure)


def test_the_producer_is_refused_by_the_wrong_authority_and_tells_why(secure: Secure) -> None:
    config = producer_config(load({**secure.environment(), **secure.kafka(authority=secure.other)}))
    with pytest.raises(ProducerError) as caught:
        partitions(connect(config, lambda _: None), config)
    assert_tells(str(caught.value), "no Kafka answers", secure)


POSTGRES_FAULTS: dict[str, tuple[Callable[[Secure], str], str]] = {
    "another authority": (lambda s: s.postgres(authority=s.other), "certificate verify failed"),
    "another host name": (lambda s: s.postgres(host="127.0.0.1"), "does not match host name"),
    "plain text": (lambda s: s.postgres(mode="disable"), "no encryption"),
    "a wrong password": (lambda s: s.postgres().replace("@localhost", "x@localhost"), "authentication failed"),
}


@pytest.mark.parametrize("fault", POSTGRES_FAULTS)
def test_postgres_refuses_and_every_client_is_told_why(secure: Secure, fault: str) -> None:
    make, what = POSTGRES_FAULTS[fault]
    url = make(secure)
    with pytest.raises(psycopg.OperationalError) as ours:
        Postgres(url).connect("test")
    assert_tells(describe(ours.value), what, secure)
    with pytest.raises(Exception, match=what) as dagsters:
        shared_engine(dagster_url(url)).connect()
    assert secure.password not in str(dagsters.value)
    answer = run_migrate(secure, MILLRACE_POSTGRES_URL=url)
    assert answer.exit_code == 1
    assert_tells(answer.output, what, secure)


def test_without_verify_full_a_certificate_of_anybody_is_taken_which_is_why_the_docs_ask_for_it(secure: Secure) -> None:
    with Postgres(secure.postgres(mode="require").split("&sslrootcert")[0]).connect("test") as connection:
        assert connection.execute(_ENCRYPTED).fetchone() == (True,)


@pytest.mark.parametrize("driver", [psycopg.connect, psycopg2.connect])
def test_the_drivers_know_no_store_of_the_system_but_the_one_that_the_environment_names(
    secure: Secure, driver: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secure.postgres().replace(quote(str(secure.authority.certificate)), "system")
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.other.certificate))
    with pytest.raises(Exception, match="certificate verify failed"):
        driver(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.authority.certificate))
    driver(url).close()


REDIS_FAULTS: dict[str, tuple[Callable[[Secure, str], str], str]] = {
    "another authority": (lambda s, n: s.redis(n, authority=s.other), "certificate"),
    "another host name": (lambda s, n: s.redis(n, host="127.0.0.1"), "certificate"),
    "plain text": (lambda s, n: s.redis(n, scheme="redis"), "Connection"),
    "a wrong password": (lambda s, n: s.redis(n).replace("@localhost", "x@localhost"), "Authentication"),
}


@pytest.mark.parametrize("fault", REDIS_FAULTS)
def test_redis_refuses_and_it_is_logged_once_why(secure: Secure, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    make, what = REDIS_FAULTS[fault]
    times = iter(range(0, 100, 10))
    client = Redis(make(secure, "redis"), clock=lambda: float(next(times)))
    for _ in range(2):
        with pytest.raises(RedisUnavailable) as caught:
            client.call(lambda c: c.ping())
        assert_tells(str(caught.value), what, secure)
    [told] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert_tells(told, what, secure)


@pytest.mark.parametrize("fault", REDIS_FAULTS)
def test_the_broker_refuses_and_no_run_is_sent(secure: Secure, fault: str) -> None:
    make, _ = REDIS_FAULTS[fault]
    kombu.pools.reset()  # they take a broker by its address for the same, whatever its TLS
    celery = broker.client(make(secure, "broker"))
    with pytest.raises((OperationalError, *broker.ERRORS)) as caught:
        celery.send_task("millrace.execute", args=["x"], queue="refused")
    assert secure.password not in str(caught.value)
    assert Redis(secure.redis("broker")).call(lambda client: client.llen("refused")) == 0


def token(name: str, seconds: float) -> str:
    """A file's content: a token that nobody signed, which this broker takes."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": name, "iat": now - 60, "exp": now + seconds})
    unsigned = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return json.dumps({"token": f"{unsigned}.", "expires": now + seconds})


def with_token(secure: Secure, file: Path) -> Settings:
    """Settings that log in with a token in place of a password."""
    options = {"sasl.mechanism": "OAUTHBEARER", "millrace.token.file": str(file)}
    return load({**secure.environment(), **secure.kafka(options)})


def test_a_token_from_a_file_opens_kafka_for_every_client(migrated: Secure, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token("millrace", 600))
    settings = with_token(migrated, tmp_path / "token")
    kafka = make_kafka(settings)
    assert "user-events" in kafka.topic_ids(["user-events"])
    consumer = kafka.consumer()
    assert "user-events" in consumer.list_topics(timeout=5).topics
    consumer.close()
    config = producer_config(settings)
    assert partitions(connect(config, lambda _: None), config) == 1


TOKEN_FAULTS = {
    "has expired": (lambda: token("millrace", -5), "has expired 5 s ago"),
    "is none": (lambda: "eyJhbGciOi-secret", "holds no token (JSONDecodeError)"),
    "is not there": (lambda: None, "holds no token (FileNotFoundError)"),
}


@pytest.mark.parametrize("fault", TOKEN_FAULTS)
def test_a_token_that_opens_nothing_is_told_with_the_reason_and_not_shown(
    secure: Secure, fault: str, tmp_path: Path
) -> None:
    content, what = TOKEN_FAULTS[fault]
    if text := content():
        (tmp_path / "token").write_text(text)
    settings = with_token(secure, tmp_path / "token")
    with pytest.raises(KafkaUnavailable) as caught:
        make_kafka(settings).topic_ids(["user-events"])
    assert_tells(str(caught.value), what, secure)
    assert "secret" not in str(caught.value)
    with pytest.raises(ProducerError, match=re.escape(what)):
        connect(producer_config(settings), lambda _: None)


def test_a_client_that_lives_longer_than_its_token_reads_the_next_one(secure: Secure, tmp_path: Path) -> None:
    file = tmp_path / "token"
    os.mkfifo(file)
    kafka = make_kafka(with_token(secure, file))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(kafka.topic_ids, ["user-events"])
        for _ in range(2):  # once before there is a client, and once by it
            file.write_text(token("millrace", 2))
            time.sleep(0.2)  # or one read would get both
        asked.result(20)
    file.write_text(token("millrace", 600))  # waits for a reader, or the test runs out of time


def test_options_for_kafka_that_nobody_knows_are_told(secure: Secure) -> None:
    kafka = Kafka("localhost:1", options={"sasl.pasword": secure.password})
    with pytest.raises(KafkaUnavailable) as caught:
        kafka.topic_ids(["user-events"])
    assert_tells(str(caught.value), "sasl.pasword", secure)
