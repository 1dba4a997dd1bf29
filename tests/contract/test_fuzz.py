"""A bounded run of the fuzzer, and that it would see a fault. `make fuzz` goes on for longer, with other seeds."""

import pytest

from contract.decoder import Event
from tests.contract import fuzz, fuzz_records


def test_thirty_thousand_values_made_of_the_hostile_corpus_are_each_decided():
    tried, faults = fuzz.run(20261128, examples=30_000)
    assert faults == []
    assert tried == 30_000


def test_some_of_them_are_events_and_most_codes_come_up():
    made = fuzz.values(fuzz.Random(1))
    found = [fuzz.DECODER.decode(next(made), fuzz.NOW_US) for _ in range(5_000)]
    assert any(isinstance(each, Event) for each in found)
    assert len({each.code for each in found if not isinstance(each, Event)}) >= 10


def test_a_decoder_that_raises_is_seen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    class Broken:
        def decode(self, *_: object) -> Event:
            raise RecursionError

    monkeypatch.setattr(fuzz, "DECODER", Broken())
    assert fuzz.main(["--seconds", "1", "--seed", "7"]) == 1
    assert "it raised RecursionError" in capsys.readouterr().out


def test_a_file_that_is_split_wrongly_and_headers_that_do_not_fit_are_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz_records.event_file, "values", lambda _: [])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(fuzz_records.dead_letters, "header_columns", lambda _: (["text"], [None]))  # pyright: ignore[reportUnknownLambdaType]
    _, faults = fuzz.run(7, examples=10)
    assert any("nothing of it is decided" in fault for fault in faults)
    assert any("do not fit" in fault for fault in faults)


def test_a_key_that_is_lost_a_tombstone_and_a_line_that_is_forged_are_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz_records.Made, "key", lambda _: fuzz.Random().randbytes(9))  # pyright: ignore[reportUnknownLambdaType]
    _, faults = fuzz.run(7, examples=50)
    assert any("is not what was sent" in fault for fault in faults)
    monkeypatch.setattr(fuzz_records, "_positions", lambda _: [0])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(fuzz_records.validate, "counted", lambda _: "1\n2")  # pyright: ignore[reportUnknownLambdaType]
    _, faults = fuzz.run(7, examples=50)
    assert any("decided once" in fault for fault in faults)
    assert any("a line for each" in fault for fault in faults)
