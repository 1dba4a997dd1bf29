import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.local import embedded, ports, processes
from infra.local.harness import Running, running
from infra.local.services import LocalError, LocalService
from tests.support.command_lines import command_lines

pytestmark = pytest.mark.services


def test_the_environment_reaches_every_service(services: Running) -> None:
    with psycopg.connect(services.environment["MILLRACE_POSTGRES_URL"]) as connection:
        row = connection.execute("select current_user, current_database(), version()").fetchone()
    assert row
    assert row[:2] == ("millrace", "millrace")
    assert row[2].startswith("PostgreSQL 18")
    claims, broker = (redis.Redis.from_url(services.environment[f"MILLRACE_{n}_URL"]) for n in ("REDIS", "BROKER"))
    assert claims.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-ttl"}
    assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    kafka = AdminClient({"bootstrap.servers": services.environment["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]})
    assert len(kafka.list_topics(timeout=5).brokers) == 1


def test_the_database_speaks_utf8_in_every_language_and_is_durable(services: Running) -> None:
    # The tests themselves turn fsync off, by ALTER SYSTEM (postgresql.auto.conf): what the stack wrote must not.
    weakened = """
        select count(*) from pg_file_settings
        where name in ('fsync', 'full_page_writes', 'synchronous_commit') and sourcefile not like '%auto.conf'
    """
    with psycopg.connect(services.environment["MILLRACE_POSTGRES_URL"]) as connection:
        assert connection.execute("select upper('é'), current_setting('server_encoding')").fetchone() == ("É", "UTF8")
        assert connection.execute(weakened).fetchone() == (0,)


def test_a_wrong_password_is_refused(services: Running) -> None:
    address = services.environment["MILLRACE_POSTGRES_URL"]
    right = address.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address.replace(right, "wrong"))
    password = services.directory / "postgres" / "password"
    assert password.read_text() == right
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


def test_no_secret_is_on_a_command_line_or_in_a_log(services: Running) -> None:
    secret = (services.directory / "postgres" / "password").read_text()
    assert all(secret not in " ".join(line) for line in command_lines(services.directory))
    for log in (services.directory / "logs").iterdir():
        assert secret not in log.read_text()


def test_postgres_keeps_committed_rows_when_it_is_killed(services: Running) -> None:
    address, before = services.environment["MILLRACE_POSTGRES_URL"], services.pid("postgres")
    with psycopg.connect(address) as connection:
        connection.execute("create table if not exists kept_by_postgres (id int)")
        connection.execute("insert into kept_by_postgres values (1)")
        connection.commit()
        sessions = psutil.Process(before).children()
        services.kill("postgres")
        assert not [session for session in sessions if processes.is_alive(session)]
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    services.start("postgres")
    assert services.pid("postgres") != before
    with psycopg.connect(address) as connection:
        assert connection.execute("select count(*) from kept_by_postgres").fetchone() == (1,)
        connection.execute("drop table kept_by_postgres")


def test_the_broker_keeps_what_is_queued_and_the_claims_start_empty(services: Running) -> None:
    clients = {name: redis.Redis.from_url(services.environment[f"MILLRACE_{name.upper()}_URL"]) for name in _REDIS}
    for name, client in clients.items():
        client.set("kept", "yes")
        time.sleep(1.1) if name == "broker" else None  # it writes to its disk once a second
        services.kill(name)
        services.start(name)
    assert clients["broker"].getdel("kept") == b"yes"
    assert clients["redis"].get("kept") is None


_REDIS = ("redis", "broker")


def test_kafka_keeps_acknowledged_records_when_it_is_killed(services: Running) -> None:
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": services.environment["MILLRACE_KAFKA_BOOTSTRAP_SERVERS"]
    }
    admin = AdminClient(settings)
    admin.create_topics([NewTopic("kept-by-kafka", 1)])["kept-by-kafka"].result()
    offsets: list[int | None] = []
    producer = Producer({**settings, "acks": "all", "message.max.bytes": 10_000_000})
    producer.produce("kept-by-kafka", b"x" * 5_000_000, on_delivery=lambda _, record: offsets.append(record.offset()))
    assert producer.flush(20) == 0
    services.kill("kafka")
    services.start("kafka")
    producer.produce("kept-by-kafka", b"y", on_delivery=lambda _, record: offsets.append(record.offset()))
    assert producer.flush(20) == 0
    assert offsets == [0, 1]
    admin.delete_topics(["kept-by-kafka"])["kept-by-kafka"].result()


def test_a_frozen_service_answers_nothing_until_it_is_resumed(services: Running) -> None:
    with psycopg.connect(services.environment["MILLRACE_POSTGRES_URL"]) as connection:
        services.pause("postgres")
        assert not services.services["postgres"].ready()
        assert {p.status() for p in psutil.Process(services.pid("postgres")).children()} == {psutil.STATUS_STOPPED}
        services.resume("postgres")
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_service_that_cannot_start_says_why(services: Running) -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('the disk is on fire')")
    broken = LocalService(name="broken", command=command, cwd=services.directory, ready=lambda: False)
    elsewhere = Running(services.directory, {"broken": broken}, {})
    with pytest.raises(LocalError, match=r"(?s)broken ended with status 1.*the disk is on fire"):
        elsewhere.start("broken")


def test_a_directory_in_use_is_refused(services: Running) -> None:
    with (
        pytest.raises(LocalError, match=rf"in use by another process \(pid {os.getpid()}\)"),
        running(services.directory),
    ):
        pass


def test_everything_ends_after_an_exception(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail(stack: Running) -> None:
        pids.append(stack.pid("redis"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), running(tmp_path, ["redis"]) as stack:
        fail(stack)
    assert not psutil.pid_exists(pids[0])


def test_everything_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "infra.local.harness",
        "--data-dir",
        str(tmp_path),
        "--services",
        "redis",
        "postgres",
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline().startswith("export MILLRACE_POSTGRES_URL=postgresql://millrace:")
        child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes.find(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes.find(tmp_path) == []


def test_a_port_may_be_given(tmp_path: Path) -> None:
    port = ports.free(1)[0]
    with running(tmp_path, ["broker"], given_ports={"broker": port}) as stack:
        assert stack.environment == {"MILLRACE_BROKER_URL": f"redis://127.0.0.1:{port}/0"}


def test_a_service_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(
            LocalError, match=f"no such service: mysql; there are {', '.join((*embedded.ALL, *embedded.OPTIONAL))}"
        ),
        running(tmp_path, ["mysql"]),
    ):
        pass


def test_a_lock_that_names_a_stranger_does_not_keep_postgres_from_starting(tmp_path: Path) -> None:
    with running(tmp_path, ["postgres"]) as stack:
        stack.kill("postgres")
        lock = tmp_path / "postgres" / "data" / "postmaster.pid"
        _, *rest = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *rest]) + "\n")  # as if a reboot had given its number to us
    with running(tmp_path, ["postgres"]) as stack:
        assert stack.services["postgres"].ready()
