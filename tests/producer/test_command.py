"""The command's usage: what is wrong is said in a line, before anything starts."""

from collections.abc import Callable
from unittest.mock import Mock

import pytest
from click.testing import CliRunner, Result

from orchestration.cli import produce as command
from orchestration.cli.produce import produce
from orchestration.settings import SettingsError
from producer import ProducerConfig, ProducerError, TopicMissingError, run

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    for name in ("BOOTSTRAP_SERVERS", "TOPICS", "OPTIONS"):
        monkeypatch.delenv(f"MILLRACE_KAFKA_{name}", raising=False)
    return lambda *arguments, **variables: CliRunner().invoke(produce, arguments, env=variables)


def test_help_teaches_by_examples(invoke: Invoke):
    result = invoke("--help")
    assert result.exit_code == 0
    assert result.output.count("  millrace produce --") == 2
    assert "the same seed twice sends duplicates" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--late", "1.5"), "0<=x<=1"),
        (("--late", "0.7", "--invalid", "0.7"), "together they may be at most 1"),
        (("--fast", "--late", "0.1"), "fast mode sends valid events only"),
        (("--duration", "soon"), "such as 500ms, 30s"),
        (("--rate", "-1"), "x>=0"),
        (("--users", "0"), "x>=1"),
    ],
)
def test_wrong_usage_is_explained_and_ends_with_2(invoke: Invoke, arguments: tuple[str, ...], complaint: str):
    result = invoke("--bootstrap-servers", "localhost:1", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_without_an_address_it_says_which_setting_and_that_an_option_will_do(invoke: Invoke):
    result = invoke("--count", "1")
    assert isinstance(result.exception, SettingsError)
    assert "MILLRACE_KAFKA_BOOTSTRAP_SERVERS: is not set" in str(result.exception)
    assert "Or give --bootstrap-servers." in str(result.exception)


def test_settings_of_other_rooms_are_neither_needed_nor_checked(invoke: Invoke):
    result = invoke(
        "--count", "0", "--topic", "no spaces", MILLRACE_KAFKA_BOOTSTRAP_SERVERS="x:1", MILLRACE_LANES="many"
    )
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith("MILLRACE_KAFKA_TOPICS: expected topic names")


@pytest.mark.parametrize(("error", "status"), [(ProducerError("nobody there"), 1), (TopicMissingError("no topic"), 2)])
def test_a_kafka_that_cannot_be_used_is_said_in_one_line(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: ProducerError, status: int
):
    monkeypatch.setattr(command, "run", Mock(side_effect=error))
    result = invoke("--count", "1", "--bootstrap-servers", "127.0.0.1:1")
    assert result.exit_code == status
    assert result.output.startswith(f"millrace produce: {error}")
    assert len(result.output.splitlines()) == 1


def test_a_ledger_that_cannot_be_written_is_said(invoke: Invoke, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "run", Mock(side_effect=PermissionError(13, "Permission denied")))
    result = invoke("--count", "1", "--bootstrap-servers", "127.0.0.1:1", "--ledger", "/proc/ledger.jsonl")
    assert result.exit_code == 1
    assert "'/proc/ledger.jsonl': Permission denied" in result.output


def test_an_address_where_nobody_answers_is_an_error_after_the_time_given():
    with pytest.raises(ProducerError, match=r"no Kafka answers at 127\.0\.0\.1:1"):
        run(ProducerConfig("127.0.0.1:1", count=1, connect_timeout=0.3))
