"""One visit: log in, look around, click, fill in forms, log out.

What belongs here: what a visitor does and how long they think before it. What does not: when visits begin
and which of many goes on next (`simulation`), and what a message looks like (`encoding`).
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from contract.contract import Contract, EventType
from producer.forms import fill
from producer.population import User
from producer.site import Site, SitePage

# Medians of the seconds before an action; the time actually taken varies log-normally.
_LOOK_AROUND = 1.0
_READ = 5.0
_CLICK = 2.0
_FILL_IN = 12.0

_CLICKS_AGAIN = 0.35
_SUBMITS = 0.25
# The others just close the tab.
_LOGS_OUT = 0.92

# Types of the contract that nobody here knows how to act out: now and then their example is sent.
_KNOWN = frozenset({"login", "logout", "page_view", "button_click", "form_submit"})
_DOES_ANOTHER_THING = 0.1

# What a visit of `views` pages sends on average: the login, most of a logout, and a page's view, clicks and
# form.
_PER_PAGE = 1.0 + _CLICKS_AGAIN / (1.0 - _CLICKS_AGAIN) + 0.1


class VisitStep(NamedTuple):
    """What a visitor does next, after thinking for so many seconds."""

    think: float
    type: str
    payload: dict[str, Any]


def mean_events(views: float) -> float:
    """How many events a visit of `views` pages on average has."""
    return 1.0 + _LOGS_OUT + _PER_PAGE * views


def others(contract: Contract) -> tuple[EventType, ...]:
    """The types of a contract that have no part in a visit yet, so that a new struct is all that a new type takes."""
    return tuple(each for name, each in contract.items() if name not in _KNOWN)


def visit(rng: Random, user: User, site: Site, views: float, more: Sequence[EventType] = ()) -> Iterator[VisitStep]:
    """The steps of one visit. The duration in the logout is left to whoever knows when the login was."""
    device, ip = user.surroundings(rng)
    yield VisitStep(0.0, "login", {"userId": user.user_id, "ip": ip, "device": device})
    referrer, path, think = site.origin(rng), "", _LOOK_AROUND
    for _ in range(_pages(rng, views)):
        page = site.page(rng, but=path)
        path, seen = (page.path, {"userId": user.user_id, "page": page.path, "referrer": referrer, "device": device})
        yield VisitStep(_think(rng, think), "page_view", seen)
        yield from _on_page(rng, user.user_id, site, page)
        if more and rng.random() < _DOES_ANOTHER_THING:
            other = rng.choice(more)
            yield VisitStep(_think(rng, _CLICK), other.name, {**other.example()["payload"], "userId": user.user_id})
        referrer, think = path, _READ
    if rng.random() < _LOGS_OUT:
        yield VisitStep(_think(rng, _READ), "logout", {"userId": user.user_id, "duration": 0.0, "ip": ip})


def _on_page(rng: Random, user_id: str, site: Site, page: SitePage) -> Iterator[VisitStep]:
    while rng.random() < _CLICKS_AGAIN:
        clicked = {"userId": user_id, "buttonId": site.button(rng, page), "page": page.path}
        yield VisitStep(_think(rng, _CLICK), "button_click", clicked)
    if page.form and rng.random() < _SUBMITS:
        sent = {"userId": user_id, "formId": page.form, "fields": fill(rng, page.form)}
        yield VisitStep(_think(rng, _FILL_IN), "form_submit", sent)


def _pages(rng: Random, views: float) -> int:
    """At least one page, `views` on average, now and then very many."""
    return 1 + int(rng.expovariate(1.0) * (views - 0.5)) if views > 1 else 1


def _think(rng: Random, median: float) -> float:
    return median * rng.lognormvariate(0.0, 0.8)
