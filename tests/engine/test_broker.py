"""What those who send runs and those who execute them agree on."""

import pytest

from millrace.orchestration.engine import broker, launcher, worker
from millrace.orchestration.engine.lookout import Lookout, Picture, picture


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://host:6379/0", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host/0?a=b", "rediss://host/0?a=b&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
    ],
)
def test_tls_checks_the_certificate_unless_told_otherwise(given: str, used: str) -> None:
    assert broker.options(given)["broker_url"] == used


def test_nothing_is_read_or_opened_when_the_worker_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", "postgresql://localhost/x")
    monkeypatch.setenv("MILLRACE_REDIS_URL", "redis://localhost")
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("MILLRACE_BROKER_URL", "redis://the-broker:1234/5")
    assert worker.app.conf.broker_url == "redis://the-broker:1234/5"
    assert worker.app.conf.task_default_queue == "default"


def test_the_worker_knows_the_tasks_that_are_sent() -> None:
    assert {launcher.EXECUTE, launcher.SETTLE} <= set(worker.app.tasks)


class Workers(Lookout):
    """Workers that answer as a test says, a look after the other."""

    def __init__(self, *pictures: Picture) -> None:
        super().__init__(broker.client("redis://nobody"))
        self.pictures = list(pictures)
        self.queue = frozenset[str]()

    def workers(self, not_older_than: float = 0.0) -> Picture:  # noqa: ARG002
        return self.pictures.pop(0)

    def waiting(self, queue: str) -> frozenset[str]:  # noqa: ARG002
        return self.queue


SERVED = frozenset({"ingest"})


def test_a_run_is_lost_when_two_looks_running_do_not_find_it() -> None:
    workers = Workers(Picture(1.0, SERVED), Picture(2.0, SERVED))
    assert not workers.is_lost("run", "ingest")
    assert workers.is_lost("run", "ingest")


def test_the_same_picture_seen_twice_is_one_look() -> None:
    workers = Workers(Picture(1.0, SERVED), Picture(1.0, SERVED))
    assert not workers.is_lost("run", "ingest")
    assert not workers.is_lost("run", "ingest")


def test_a_run_that_is_found_in_between_is_not_lost() -> None:
    workers = Workers(Picture(1.0, SERVED), Picture(2.0, SERVED, frozenset({"run"})), Picture(3.0, SERVED))
    assert [workers.is_lost("run", "ingest") for _ in range(3)] == [False, False, False]


def test_no_answer_from_workers_of_the_queue_is_no_evidence() -> None:
    workers = Workers(Picture(1.0), Picture(2.0, frozenset({"default"})), Picture(3.0))
    assert [workers.is_lost("run", "ingest") for _ in range(3)] == [False, False, False]


def test_a_run_that_has_left_the_queue_has_two_looks_to_turn_up_in_a_worker() -> None:
    workers = Workers(Picture(1.0), Picture(2.0), Picture(3.0, SERVED, frozenset({"taken"})), Picture(4.0))
    workers.queue = frozenset({"taken"})
    assert workers.nowhere(["taken", "lost"], "default") == frozenset()
    workers.queue = frozenset()
    assert workers.nowhere(["taken", "lost"], "default") == {"lost"}
    assert workers.nowhere(["taken", "lost"], "default") == {"lost"}
    assert workers.nowhere(["taken"], "default") == frozenset()


def test_a_broker_that_cannot_be_asked_makes_no_run_lost() -> None:
    lookout = Lookout(broker.client("redis://127.0.0.1:1/0"))
    assert lookout.nowhere(["run"], "default") == frozenset()
    assert [lookout.is_lost("run", "default") for _ in range(2)] == [False, False]


def test_answers_that_are_errors_are_left_out_of_the_picture() -> None:
    seen = picture([{"error": "no such command"}, {"queues": ["ingest"], "runs": ["a", "b"]}], 7.0)
    assert seen == Picture(7.0, SERVED, frozenset({"a", "b"}))
