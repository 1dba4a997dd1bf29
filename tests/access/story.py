"""Four weeks in the life of a small shop, always the same: what `docs/analysts.md` shows its answers for.

What belongs here: the events, from Monday 2026-10-05 to Monday 2026-11-02. What does not: storing them (`cookbook`).
Chance is a hash of who, when and what: the same on every machine and in every version of Python.
"""

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

FIRST, TODAY = date(2026, 10, 5), date(2026, 11, 2)
USERS = (
    *("ada", "ben", "cleo", "dana", "emil", "fay", "gus", "hana", "ivan", "jo", "kim", "lea"),
    *("max", "nora", "omar", "pia", "quinn", "rosa", "sam", "tess", "uma", "vera", "will", "zoe"),
)
PAGES = ("/", "/products", "/products/lamp", "/products/chair", "/pricing", "/signup")
BUTTONS = {"/products/lamp": "add-to-cart", "/products/chair": "add-to-cart", "/pricing": "choose-plan", "/": "search"}
REFERRERS = ("", "", "https://search.example/", "https://news.example/", "https://social.example/")
DEVICES = ("Chrome on Windows", "Safari on iPhone", "Firefox on Linux")

Event = dict[str, Any]


def chance(*about: object) -> float:
    """A number from 0 up to 1 that depends on what it is about alone."""
    return zlib.crc32("/".join(map(str, about)).encode()) / 2**32


def pick(choices: tuple[str, ...], *about: object) -> str:
    """One of the choices, always the same."""
    return choices[int(chance("pick", *about) * len(choices))]


def event(kind: str, at: datetime, user: str, **payload: Any) -> Event:
    """An event as producers send it."""
    return {
        "eventId": str(uuid5(NAMESPACE_URL, f"{kind}/{at.isoformat()}/{user}/{json.dumps(payload)}")),
        "type": kind,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "payload": {"userId": user, **payload},
    }


def address(user: str) -> str:
    """The address that a user usually comes from."""
    return f"203.0.113.{10 + USERS.index(user)}"


def events() -> list[Event]:
    """All of them, in the order in which they occur."""
    found = [made for user in USERS for day in _days(user) for made in _day(user, day)]
    return sorted([*found, *_incidents()], key=lambda each: each["timestamp"])


def late(every: Event) -> bool:
    """Whether an event reaches Kafka a day late."""
    return every["timestamp"] < "2026-11-02" and chance("late", every["eventId"]) < 0.03


def _days(user: str) -> Iterator[date]:
    """The days on which a user comes: the first is certain, then fewer and fewer, and few at the weekend."""
    begin = FIRST + timedelta(days=int(chance(user, "begin") ** 3 * 29))
    for day in (begin + timedelta(days=n) for n in range((TODAY - begin).days + 1)):
        likely = (0.75 if day.weekday() < 5 else 0.3) * 0.97 ** (day - begin).days
        if day == begin or chance(user, day) < likely:
            yield day


def _day(user: str, day: date) -> Iterator[Event]:
    for part in range(1 + (chance(user, day, "again") < 0.25)):
        minutes = 7 * 60 + int(chance(user, day, part, "begin") * 360) + part * 420
        yield from _visit(user, datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes))


def _visit(user: str, at: datetime) -> Iterator[Event]:
    ip, begin = address(user), at
    other = chance(user, at, "device") < 0.06
    device = pick(DEVICES, user, at) if other else pick(DEVICES, user)
    returns = chance(user, begin, "still logged in") < 0.3
    if not returns:
        yield event("login", at, user, ip=ip, device=device)
    referrer = pick(REFERRERS, user, at, "referrer")
    for n in range(1 + int(chance(user, at, "pages") ** 1.6 * 6)):
        at += timedelta(seconds=5 + int(chance(user, at, n) * 150))
        page = pick(PAGES, user, begin, n)
        more = (
            {"experiment": pick(("a", "b"), user)} if at.date() >= date(2026, 10, 30) else {}
        )  # ahead of the contract
        yield event("page_view", at, user, page=page, referrer=referrer, device=device, **more)
        referrer = ""
        yield from _on(page, at, user)
    if not returns and chance(user, begin, "logout") < 0.7:
        at += timedelta(seconds=40)
        yield event("logout", at, user, duration=(at - begin).total_seconds(), ip=ip)


def _on(page: str, at: datetime, user: str) -> Iterator[Event]:
    if page in BUTTONS and chance(user, at, "click") < 0.4:
        yield event("button_click", at + timedelta(seconds=2), user, buttonId=BUTTONS[page], page=page)
    if page == "/signup" and chance(user, at, "submit") < 0.5:
        plan = pick(("free", "free", "team"), user, at)
        fields: dict[str, Any] = {"plan": plan, "newsletter": chance(user, at, "news") < 0.5}
        if plan == "team":
            fields["seats"] = 2 + int(chance(user, at, "seats") * 9)
        yield event("form_submit", at + timedelta(seconds=4), user, formId="signup", fields=fields)
    if page == "/" and chance(user, at, "contact") < 0.1:
        yield event("form_submit", at + timedelta(seconds=3), user, formId="contact", fields={"topic": "delivery"})


def _incidents() -> Iterator[Event]:
    """What the audit of logins is there to find, all of it today."""
    noon = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
    script = "python-requests"
    for n, user in enumerate(USERS[:11]):  # one address tries many users
        yield event("login", noon + timedelta(minutes=2 * n), user, ip="198.51.100.7", device=script)
    for n in range(6):  # six logins in half a minute
        at = noon + timedelta(hours=2, seconds=5 * n)
        yield event("login", at, "zoe", ip="198.51.100.66", device=script)
    for n in range(4):  # one user from four addresses
        at = noon + timedelta(hours=3, minutes=7 * n)
        yield event("login", at, "sam", ip=f"192.0.2.{n + 1}", device="Safari on iPhone")
    yield event("logout", noon + timedelta(hours=4), "ghost", duration=10, ip="192.0.2.99")
    midnight = noon - timedelta(hours=12)  # a session that crosses it
    for minutes in (-20, -4, 9, 31):
        at = midnight + timedelta(minutes=minutes)
        yield event("page_view", at, "nora", page="/pricing", referrer="", device="Firefox on Linux")
