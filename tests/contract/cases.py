"""Hostile values by the code that they must get: the table of `test_hostile`."""

# ruff: noqa: RUF001 - letters and digits that look like others are the point
# fmt: off

from collections.abc import Sequence

SIMPLE = (
    '{"eventId":"a1b2c3","type":"login","timestamp":"2025-05-18T14:00:00Z",'
    '"payload":{"userId":"u123","ip":"203.0.113.45","device":"Chrome on macOS"}}'
)
PAYLOAD = SIMPLE[SIMPLE.index('{"userId') : -1]
TIME = "2025-05-18T14:00:00Z"


def replaced(old: str, *new: str) -> list[str]:
    """The simple message with a part of it replaced by each of these."""
    assert old in SIMPLE
    return [SIMPLE.replace(old, each) for each in new]


def field(*more: str) -> list[str]:
    """The simple message with each of these added to its payload."""
    return replaced('"ip":', *(each + ',"ip":' for each in more))


def envelope(*more: str) -> list[str]:
    """The simple message with each of these added to its envelope."""
    return replaced('"type"', *(each + ',"type"' for each in more))


def other(type_name: str, members: str, *values: str) -> list[str]:
    """Messages of another type: `members` follow userId in the payload, and hold each value in the place of `@`."""
    begin = SIMPLE.replace("login", type_name)[: -len('"ip":"203.0.113.45","device":"Chrome on macOS"}}')]
    return [f"{begin}{members.replace('@', each)}}}}}" for each in values]


def latin(text: str) -> bytes:
    """Text in the encoding that old systems send."""
    return text.encode("latin-1")


CASES: dict[str, Sequence[bytes | str]] = {
    "not_json": [
        b"", b" ", b"\n", b"\xef\xbb\xbf" + SIMPLE.encode(), b"\x00", b"hello", b"{", b"}", b'"', b"nul", b"NaN",
        b"Infinity", b"-Infinity", b"[1,]", b"{'a':1}", b"{a:1}", b'{"a" 1}', b'{"a":}', b'{"a":1,}', b'{,"a":1}',
        b'{"a":1 "b":2}', b'{"a":1}}', b'{"a":"\x01"}', b'{"a":"\\x41"}', b'{"a":"\\u12"}', b'{"a":"\\u+123"}',
        b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":1e}', b'{"a":0x10}', b"// comment\n{}",
        b"{}\x00", b"{}\x0b", "\u00a0{}", "{}\u2028", b"{:1}", b"{1:1}", b'{"a"', b'{"a":"b', b'{"a":"\\', b"[" * 64,
        SIMPLE + "x", SIMPLE + SIMPLE, SIMPLE[:-1], *field('"x":NaN', '"x":[-Infinity]', '"x":"\t"'),
        *envelope('"x":nan', '"x":"\\ud8"', '"x":[1 2]', '"x":{"a":1,}'),
    ],
    "not_utf8": [
        b"\xff", b'{"a":"\xc3"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}',
        b'{"\xf5\x80\x80\x80":1}', SIMPLE.encode("utf-16"), *map(latin, replaced("macOS", "Grüße")),
        *map(latin, envelope('"ü":1', '"x":["ü"]')), *map(latin, field('"ü":1', '"x":["ü"]')),
    ],
    "not_an_object": [
        b"null", b"true", b"0", b"-1.5e3", b'"text"', b"[]", b"[{}]", b" [1] ", b"1e400", b'["\\ud800"]',
        f"[{SIMPLE}]",
    ],
    "missing_field": [
        b"{}", *replaced('"eventId":"a1b2c3",', ""), *replaced('"type":"login",', ""), *replaced("timestamp", "time"),
        *replaced(',"payload":' + PAYLOAD, ""), *replaced(PAYLOAD, "{}"), *replaced('"userId":"u123",', ""),
        *replaced('"ip":"203.0.113.45",', ""), *other("logout", "@", '"ip":"::1"', '"duration":1'),
        *other("page_view", "@", '"referrer":"/"'), *other("form_submit", "@", '"formId":"f"', '"fields":{}'),
        *other("button_click", "@", '"page":"/"', '"buttonId":"b"'),
    ],
    "wrong_type": [
        *replaced('"a1b2c3"', "1", "null", "true", '["a"]', '{"a":"b"}', "1e400"), *replaced('"login"', "1", "null",
        "[]"),
        *replaced(f'"{TIME}"', "1747576800", "null", "1e400", '{"$date":1}'),
        *replaced(PAYLOAD, "null", "[]", '"{}"', "1", "true", "1e999"), *replaced('"u123"', "1", "null", "[]",
        "true"),
        *replaced('"203.0.113.45"', "1", "null", "3405803821"), *replaced('"Chrome on macOS"', "1", "[]", "false",
        "{}"),
        *other("logout", '"ip":"::1","duration":@', '"1"', "true", "false", "null", "[1]", "{}"),
        *other("form_submit", '"formId":"f","fields":@', "[]", "null", '"a"', "1"),
        *other("page_view", '"page":@', "null", "1"), *other("page_view", '"page":"/","referrer":@', "1", "[]",
        "false"),
    ],
    "unknown_type": replaced('"login"', '""', '"Login"', '"login "', '"logіn"', '"no_such_type"',
    '"x' + "y" * 10_000 + '"'),
    "invalid_event_id": replaced("a1b2c3", "", "x" * 201, "a\\nb", "\\u001f", "\x7f", "\x80", "a\x9f", "\\u0085",
    "a\\t"),
    "invalid_value": [
        *replaced("u123", "", "x" * 201, "é" * 101, "😀" * 51), *replaced("Chrome", "x" * 201, "é" * 101),
        *other("page_view", '"page":"@"', "", "x" * 2001, "é" * 1001),
        *other("page_view", '"page":"/","referrer":"@"', "x" * 2001, "é" * 1001),
        *other("button_click", '"page":"/","buttonId":"@"', "", "x" * 201, "é" * 101),
        *other("form_submit", '"fields":{},"formId":"@"', "", "x" * 201, "é" * 101),
        *replaced(
            "203.0.113.45", "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\\n",
            "1.2.3.4/32", "1.2.3.4:80", "fe80::1%eth0", "fe80::1%", ":::", "1::2::3", "[::1]", "::1/64", "12345::",
            "g::1",
            "localhost", "٣.3.3.3", "１.2.3.4", "0x7f.1", "2130706433", "1:2:3:4:5:6:7", "::" + "0" * 50, "::٣",
        ),
        *other(
            "logout", '"ip":"::1","duration":@', "-1", "-0.1", "-1e-400", f"-0.{'0' * 350}1", "-5e-324", "1e309",
            "1" + "0" * 309, "1e400", "1e-401",
        ),
        *field(*map('"x":{}'.format, (
            "1e400", "-1e400", "10e399", "1e100000", "1e-401", "1e-100000", "9" * 401, "-" + "9" * 5000,
            f"0.{'0' * 400}1", "0e400", "0e999999999", "0e-401", "1e99999999999999999999", "1e-99999999999999999999",
            "1E+00001000", "9" * 500_000, "1e" + "9" * 500_000, f"0.{'0' * 500_000}", '[[{"a":1e400}]]',
        ))),
        *field(
            '"x":1,"x":1', '"x":1,"\\u0078":1', '"x" :1,"x"\n:2', '"x":{"a":1,"a":1}',
            '"x":[[{"a":[],"b":0,"a":[]}]]',
            '"":1,"":2', '"userId":"u123"', '"\\u0075serId":"u124"', '"userId" :"u"', '"device":null', '"device":""',
            '"x":{"é":1,"\\u00e9":2}', '"x":{"\\/":1,"/":2}', '":":":","::":":",":":":"', '"x":"\\"","x":":"',
        ),
        *envelope(
            '"eventId":"b"', '"type":"logout"', '"payload":{}', '"x":{"a":1,"a":1}', '"x":1,"x":2', '"\\u0074ype":1',
            '"payload":null', '"timestamp" :"now"', '"x":[{"a":1,"\\u0061":{}}]',
        ),
    ],
    "unstorable_text": [
        *replaced(
            "u123", "\\u0000", "a\\u0000b", "\\ud800", "\\udc00", "\\ud800\\ud800\\udc00", "\\udc00\\ud800",
            "\\uDFFFx",
            "\\ud83d \\ude00", "\\uD83D\\u0041", "\\ud83d\\n", "\\ude00\\ud83d\\ude00", "\\ud83d\\ude00\\ud83d",
        ),
        *replaced("a1b2c3", "\\u0000", "a\\ud800"), *replaced("login", "login\\u0000", "\\udfff"),
        *field(
            '"\\u0000":1', '"a\\ud800":1', '"x":["\\u0000"]', '"x":{"y":{"\\udfff":1}}', '"x":[[[{"a":"b\\udbff"}]]]',
            '"x":"\\\\\\u0000"',
        ),
        *replaced("Chrome on macOS", "\\u0000"), *replaced("203.0.113.45", "1.2.3.4\\u0000"),
    ],
    "invalid_timestamp": replaced(
        TIME, "", "now", "infinity", "-infinity", "epoch", "2025-05-18", "2025-05-18T14:00:00", "2025-05-18 14:00:00",
        "14:00:00Z", "20250518T140000Z", "2025-05-18T14Z", "2025-05-18T24:00:00Z", "2025-05-18T23:59:60Z",
        "1747576800",
        "2025-05-18T23:60:00Z", "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z", "2025-02-29T00:00:00Z",
        "2025-02-30T00:00:00Z", "2025-01-00T00:00:00Z", "0000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
        "+2025-05-18T14:00:00Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        "2025-05-18T14:00:00+24:00", "2025-05-18T14:00:00+02:60", "2025-05-18T14:00:00+2", "2025-05-18T14:00:00 Z",
        "2025-05-18T14:00:00 +02:00", "2025-05-18T14:00:00UTC", "2025-05-18T14:00:00.Z", "2025-05-18T14:00.5Z",
        "2025-05-18T14:00:00.5", "2025-05-18T14:00:00ZZ", "2025-05-18T14:00:00Z\\n", " 2025-05-18T14:00:00Z",
        "2025-05-18_14:00:00Z", "2025-W20-7T14:00:00Z", "2025-138T14:00:00Z", "2025/05/18T14:00:00Z",
        "٢٠٢٥-05-18T14:00:00Z", "2025-05-18T14:00:0٠Z", "2025-05-18T14:00:00.٣Z", "2025-05-18T14:00:00.12٣Z",
        "2025-05-18T14:00:00.1 3Z", "2025-05-18T14:00:00.1_3Z", "2025-05-18T14:00:00\u22120200",
        "2025-5-18T14:00:00Z",
        "2025-05-18T14:00:00+02:00:00", "2025-05-18T14:00:00-2:00", "2025-05-18T1:00:00Z",
        "2025-05-18T14:00:00x123Z", "2025-05-18T14:00:00-123Z", "2025-05-18T14:00:00:123456Z", "2025-05-18T14:00;00Z",
        "2025-05-18T14:00:00.12:456Z", "2025-05-18T14:00:00.123+02;00", "2025-05-18T14:00:00.123456x02:00",
        TIME + "\\u0000",
        "\\ud800",
    ),
    "timestamp_in_future": replaced(
        TIME, "2025-06-15T15:11:40.000001Z", "2025-06-15T15:11:41Z", "2025-06-15T13:12:00-02:00",
        "9999-12-31T23:59:59.999999Z", "9999-12-31T00:00:00+00:00",
    ),
    "too_deep": [
        b"[" * 65, b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"[{" * 40,
        b'"' + b"[" * 100 + b'"' + b"[" * 65, b'{"a":"\\""' + b"[" * 64, *field(f'"x":{"[" * 63}{"]" * 63}'),
        *envelope(f'"x":{"[" * 64}{"]" * 64}'), *other("form_submit", f'"formId":"f","fields":{{"x":@{"]" * 62}}}',
        "[" * 62),
    ],
    "too_large": [b" " * (1024 * 1024 + 1), b"\xff" * 5_000_000, b"[" * 2_000_000,
    SIMPLE.encode().ljust(1024 * 1024 + 1)],
}
