"""Random streams of events, from a seed: dense where aggregates are delicate, and delivered as badly as Kafka may.

What belongs here: which events there are (`_Making`) and in which batches they are sent (`deliver`). What does not:
what should come of them (`oracle`).
"""

import json
import random
import string
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_GAPS = [
    *(timedelta(0), _MICRO, timedelta(seconds=1), timedelta(seconds=20), timedelta(minutes=1) - _MICRO),
    *(timedelta(minutes=1), timedelta(minutes=7), timedelta(minutes=30) - _MICRO, timedelta(minutes=30)),
    *(timedelta(minutes=30) + _MICRO, timedelta(minutes=44), timedelta(hours=1), timedelta(hours=12)),
]
_LIKELY = [4, 2, 8, 8, 1, 2, 8, 1, 3, 3, 2, 2, 1]
_LONG = "/" + "".join(random.Random(0).choices(string.ascii_letters, k=1_999))  # it can hardly be compressed
_PAGES = ["/", "/home", "/cart", "/Ä?q=ß 'x\"\\", "/home ", _LONG]
_REFERRERS = ["", None, ..., "https://search.example/?q=a", "https://news.example/", _LONG]
_DEVICES = ["Chrome on macOS", "chrome on macOS", "Ärzte-Tablet", "Zebra", "aardvark", "", None, ...]
_BUTTONS, _FORMS = ["buy", "Buy", "b" * 200], ["signup", "search"]
_ADDRESSES = [
    "203.0.113.45",
    "203.0.113.5",
    "192.0.2.9",
    "2001:db8::1",
    "2001:DB8:0::1",
    "10.0.0.1",
    "::ffff:192.0.2.9",
]
_INVALID = [
    *(b"garbage", b"", b"\xff\xfe", b"[]", b'{"eventId": "x"}', b"null"),
    b'{"eventId":"y","type":"new_thing","timestamp":"2026-06-01T00:00:00Z","payload":{"userId":"u"}}',
    b'{"eventId":"z","type":"login","timestamp":"yesterday","payload":{"userId":"u","ip":"192.0.2.1"}}',
    b'{"eventId":"w","type":"login","timestamp":"2026-06-01T00:00:00Z","payload":{"userId":"u","ip":"somewhere"}}',
]


@dataclass(frozen=True)
class Stream:
    """What is sent, batch by batch, and which valid events it holds, each once."""

    batches: list[list[bytes]]
    valid: list[Json]


def at(when: str | datetime, user: str = "ann", kind: str = "page_view", **payload: Any) -> Json:
    """One event; `when` in ISO 8601 is in UTC, what the payload must have and is not given is filled in."""
    moment = datetime.fromisoformat(when).replace(tzinfo=UTC) if isinstance(when, str) else when
    needed: Json = {
        "login": {"ip": "192.0.2.1", "device": "phone"},
        "logout": {"ip": "192.0.2.1", "duration": 1},
        "page_view": {"page": "/"},
        "button_click": {"buttonId": "buy", "page": "/"},
        "form_submit": {"formId": "signup", "fields": {}},
    }[kind]
    made = {"eventId": str(uuid.uuid4()), "type": kind, "timestamp": moment.isoformat()}
    return {**made, "payload": {"userId": user, **needed, **payload}}


def stream(seed: int, *, events: int = 700, start: datetime = MONDAY, days: int = 40) -> Stream:
    """A random stream; another seed has other ids."""
    draw = random.Random(seed)
    users = [f"user {n} 'ü\"" for n in range(draw.randint(12, 40))]
    making = _Making(draw, users, _moments(draw, start, days))
    while len(making.made) < events:
        making.something()
    return Stream(deliver(draw, making.made), making.made)


def deliver(draw: random.Random, valid: Sequence[Json], *, damaged: bool = True) -> list[list[bytes]]:
    """Late, out of order, in random batches; `damaged`: also some again, and some that are no events."""
    in_time = sorted(valid, key=lambda e: datetime.fromisoformat(e["timestamp"]))
    lateness = draw.choice([0.0, 0.1, 1.0])
    values = [(n / len(in_time) if draw.random() >= lateness else draw.random(), e) for n, e in enumerate(in_time)]
    records = [(when, _written(draw, e)) for when, e in values]
    if damaged:
        records += [(draw.uniform(when, 1), _written(draw, e)) for when, e in draw.sample(values, len(values) // 10)]
        records += [(draw.random(), draw.choice(_INVALID)) for _ in range(len(values) // 20)]
    ordered = [value for _, value in sorted(records, key=lambda record: record[0])]
    cuts = sorted(draw.randrange(len(ordered)) for _ in range(draw.randint(3, 9)))
    return [ordered[low:high] for low, high in zip([0, *cuts], [*cuts, len(ordered)], strict=True) if low < high]


def _written(draw: random.Random, event: Json) -> bytes:
    members = list(event.items())
    draw.shuffle(members)
    return json.dumps(dict(members), ensure_ascii=draw.random() < 0.5, indent=draw.choice([None, 1])).encode()


def _moments(draw: random.Random, start: datetime, days: int) -> list[datetime]:
    """Where visits begin: on a few days, at a few hours, at the borders of weeks, days, hours and minutes."""
    chosen = [day for day in (0, 6, 7, 27, 28, *(draw.randrange(days) for _ in range(6))) if day < days]
    moments = [start + timedelta(days=day) + draw.choice([-2, -1, 0, 1]) * _MICRO for day in chosen]
    for day in chosen:
        hour = start + timedelta(days=day, hours=draw.randrange(24))
        moments += [hour, hour - _MICRO, hour + timedelta(minutes=draw.randrange(60), seconds=draw.randrange(60))]
    return [*moments, start - timedelta(days=365), start - timedelta(days=1) - _MICRO]


@dataclass
class _Making:
    """Makes one thing after another that people do."""

    draw: random.Random
    users: list[str]
    moments: list[datetime]
    made: list[Json] = field(default_factory=list[Json])

    def something(self) -> None:
        """A visit, mostly; at times what the login audit looks for."""
        when = self.draw.choice(self.moments) + self.draw.choice([0, 0, 1, 20]) * timedelta(minutes=1)
        what = self.draw.choices([self.visit, self.crowd, self.burst, self.wanderer], [30, 1, 1, 2])[0]
        what(when)

    def visit(self, when: datetime) -> None:
        user = self.draw.choice(self.users)
        kinds = ["page_view", "button_click", "form_submit", "login", "logout"]
        for _ in range(self.draw.randint(1, 8)):
            self.event(self.draw.choices(kinds, [6, 3, 2, 2, 2])[0], user, when)
            when += self.draw.choices(_GAPS, _LIKELY)[0]

    def crowd(self, when: datetime) -> None:
        """Many users from one address, around the threshold and around the hour."""
        address = self.draw.choice(_ADDRESSES)
        for user in self.draw.sample(self.users, self.draw.randint(9, 12)):
            self.event("login", user, when, ip=address)
            when += self.draw.choice([timedelta(0), timedelta(minutes=5), timedelta(minutes=6, seconds=40)])

    def burst(self, when: datetime) -> None:
        user = self.draw.choice(self.users)
        for _ in range(self.draw.randint(4, 7)):
            self.event("login", user, when)
            when += self.draw.choice([timedelta(0), timedelta(seconds=10), timedelta(seconds=15)])

    def wanderer(self, when: datetime) -> None:
        """One user from many addresses, who sometimes leaves one."""
        user = self.draw.choice(self.users)
        for _ in range(self.draw.randint(3, 8)):
            self.event(self.draw.choices(["login", "logout"], [3, 1])[0], user, when)
            when += self.draw.choice([timedelta(0), timedelta(minutes=12), timedelta(minutes=20), timedelta(hours=4)])

    def event(self, kind: str, user: str, when: datetime, **given: str) -> None:
        payload = {"userId": user, **_payload(self.draw, kind), **given}
        number = uuid.UUID(int=self.draw.getrandbits(128))
        event_id = self.draw.choices([str(number), number.hex.upper(), f"no uuid {number}"], [8, 1, 1])[0]
        made = {"eventId": event_id, "type": kind, "timestamp": _stamp(self.draw, when)}
        self.made.append({**made, "payload": {k: v for k, v in payload.items() if v is not ...}})


def _stamp(draw: random.Random, when: datetime) -> str:
    """The moment as seen from some time zone."""
    zone = draw.choice([UTC, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=11))])
    return when.astimezone(zone).isoformat()


def _payload(draw: random.Random, kind: str) -> Json:
    """The other fields; `...` for one that is missing. Fields beyond the contract are kept, so they occur too."""
    pick = draw.choice
    device = {"device": pick(_DEVICES)}
    match kind:
        case "login":
            return {"ip": pick(_ADDRESSES), **device}
        case "logout":
            return {"ip": pick(_ADDRESSES), "duration": draw.choice([0, 12.5, 1e9])}
        case "page_view":
            return {"page": pick(_PAGES), "referrer": pick(_REFERRERS), **device}
        case "button_click":
            return {"buttonId": pick(_BUTTONS), "page": pick(_PAGES), **(device if draw.random() < 0.3 else {})}
        case _:
            return {
                "formId": pick(_FORMS),
                "fields": {"n": draw.randrange(9), "ip": "no"},
                "ip": pick([..., "1.1.1.1"]),
            }
