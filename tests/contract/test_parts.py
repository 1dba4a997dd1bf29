"""The parts by themselves: timestamps, ids, numbers, addresses and nesting."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import identity
from contract.addresses import is_ip_address
from contract.decoder import quick_timestamp, quick_uuid
from contract.json_limits import fits, too_deep

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets | st.just(UTC))  # noqa: DTZ001


def both(text: str) -> int | None:
    exact = identity.parse_timestamp(text)
    assert quick_timestamp(text) == exact, text
    return exact


@given(moments, st.sampled_from(["auto", "seconds", "milliseconds", "microseconds", "minutes"]), st.sampled_from("Tt "))
def test_timestamps_that_python_writes_are_read_exactly(moment: datetime, precision: str, separator: str):
    text = moment.isoformat(separator, precision)
    expected = (datetime.fromisoformat(text) - EPOCH) // MICROSECOND
    assert both(text) == expected
    if moment.tzinfo is UTC:
        assert both(text.replace("+00:00", "Z")) == both(text.replace("+00:00", "z")) == expected
    if text[-3] == ":":
        assert both(text[:-3] + text[-2:]) == expected


@given(st.text("0123456789.,:+-TtZz ٣", max_size=35))
def test_the_quick_reading_of_a_timestamp_agrees_with_the_exact_one(text: str):
    both(text)
    for seconds in ("2025-05-18T14:00:", "2025-05-18T14:00:00", "2025-05-18T14:00:00.123"):
        both(seconds + text)
        both(text + seconds)


@pytest.mark.parametrize("fraction", ["123456", "1234560", "1234569", "12345699999999999999", "123456" + "9" * 5000])
@pytest.mark.parametrize("mark", [".", ","])
def test_digits_beyond_microseconds_are_cut_off_not_rounded(fraction: str, mark: str):
    assert both(f"1969-12-31T23:59:59{mark}{fraction}Z") == 123456 - 1_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("0001-01-01T01:00:00+01:00", -62_135_596_800_000_000),
        ("9999-12-31T22:59:59.9999999-01:00", 253_402_300_799_999_999),
        ("1970-01-01T00:00-00:00", 0),
        ("1970-01-01T00:00+14", -14 * 3_600_000_000),
        ("1969-12-31 23:59:59.1z", -900_000),
    ],
)
def test_timestamps_from_year_1_to_9999_are_read(text: str, micros: int):
    assert both(text) == micros


@given(
    st.text(max_size=210) | st.uuids().map(str) | st.from_regex("[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
)
def test_the_quick_reading_of_an_id_agrees_with_the_exact_one(text: str):
    try:
        quick = quick_uuid(text)
    except ValueError:
        return
    assert quick == identity.uuid_bytes(text)
    assert quick is not None or identity.is_name(text)


@given(st.uuids())
def test_uuids_are_themselves(one: uuid.UUID):
    for text in (str(one), one.hex, str(one).upper(), one.hex.upper()):
        assert identity.uuid_bytes(text) == quick_uuid(text) == one.bytes


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=200))
def test_names_become_uuids_of_version_5(name: str):
    assert uuid.UUID(bytes=identity.name_bytes(name)) == uuid.uuid5(identity.NAMESPACE, name)


def test_the_namespace_is_fixed_for_ever():
    assert uuid.uuid5(uuid.NAMESPACE_DNS, "events.millrace") == identity.NAMESPACE
    assert uuid.UUID(bytes=identity.name_bytes("a1b2c3")) == uuid.UUID("df90b961-8d7b-5703-857c-1abfc8a4e78d")


@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,420})(\.[0-9]{1,420})?([eE][+-]?[0-9]{1,3})?\Z"))
def test_a_number_fits_if_it_does_when_written_out(text: str):
    whole, _, fraction = f"{Decimal(text):f}".lstrip("-").partition(".")
    # Decimal writes the digits that the text asks for, but the leading zeros of the part before the point.
    if Decimal(text):
        assert fits(text) == (len(whole.lstrip("0")) <= 400 and len(fraction) <= 400), (whole, fraction)


@given(st.ip_addresses() | st.text("0123456789abcdefABCDEF:.%/ ٣", max_size=50))
def test_addresses_are_those_that_python_knows_without_zone(given_address: IPv4Address | IPv6Address | str):
    text = str(given_address)
    assert is_ip_address(text) == ("%" not in text and _is_address(text))


def _is_address(text: str) -> bool:
    for kind in (IPv4Address, IPv6Address):
        try:
            kind(text)
        except ValueError:
            continue
        return True
    return False


@given(st.integers(55, 75), st.text('[]{}"\\x', max_size=60))
def test_nesting_is_counted_outside_strings(depth: int, text: str):
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    value = f'{{"{inside}":' + "[" * (depth - 1) + f'"{inside}"' + "]" * (depth - 1) + "}"
    assert too_deep(value.encode()) == (depth > 64)


def test_timestamps_that_do_not_repeat_are_read_without_the_exact_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a day of the calendar is enough: a backlog of months has as many seconds as events."""
    exact, read = identity.parse_timestamp, list[str]()

    def counted(text: str) -> int | None:
        read.append(text)
        return exact(text)

    monkeypatch.setattr(identity, "parse_timestamp", counted)
    begin = datetime(1921, 3, 1, tzinfo=UTC)
    for number in range(20_000):
        moment = begin + timedelta(seconds=127 * number)
        text = moment.isoformat().replace("+00:00", "Z")
        assert quick_timestamp(text) == (moment - EPOCH) // MICROSECOND
    assert len(read) <= 31
