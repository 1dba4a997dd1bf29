"""Which requests the web server refuses: pure decisions, those of the proxy (infra/docker/proxy/common.conf).

A browser reaches what listens on loopback, and sends there what any page makes it send. What belongs here: who is a
stranger. What does not: HTTP and websockets (`webserver`).
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_JSON = ("application/json", "application/graphql")
_NOT_ASKED_BY_ANOTHER = ("same-origin", "none")

FOREIGN_HOST = (
    "The Host of this request is none of this web server's names, so it may come from a page of another site. Ask for "
    "localhost, or let MILLRACE_WEBSERVER_HOSTS name the host that people type into their browsers."
)
ANOTHER_SITE = (
    "A page of another site asked for this (Origin or Sec-Fetch-Site), which may not use the web server in the name of "
    "who visits it. Open Dagster's own page instead."
)
NOT_BY_LINK = "GraphQL is taken by POST alone: a link or a picture on any page could ask by any other method."
NOT_JSON = "GraphQL is taken as application/json alone: a form on any page could send any other type."


@dataclass(frozen=True)
class Asked:
    """What decides about a request; `method` is empty for a websocket, and `address` the one that it came to."""

    method: str = ""
    path: str = "/"
    query: str = ""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    address: str = ""

    def values(self, name: str) -> Sequence[str]:
        """What a header says; more than one value where it is there more than once."""
        return self.headers.get(name, ())


@dataclass(frozen=True)
class Rules:
    """The names beside loopback's under which people reach the web server."""

    hosts: Iterable[str] = ()

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """Status and text of the refusal, or none."""
        if not self._is_ours(asked):
            return 403, FOREIGN_HOST
        if _from_another_origin(asked) or (_by_another_site(asked) and not _follows_a_link(asked)):
            return 403, ANOTHER_SITE
        if not _runs_graphql(asked):
            return None
        if asked.method != "POST":
            return (405, NOT_BY_LINK) if asked.query else None
        return None if _is_json(asked) else (415, NOT_JSON)

    def _is_ours(self, asked: Asked) -> bool:
        """A name that is not listed may be an attacker's, whose DNS leads here; an address is nobody's."""
        hosts = asked.values("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return False
        name = _plain(found[1].strip("[]"))
        return name in _LOOPBACK or name in {_plain(each) for each in self.hosts} or name == _plain(asked.address)


def _plain(name: str) -> str:
    """A name or an address in one spelling."""
    text = name.strip("[]").lower().rstrip(".")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _from_another_origin(asked: Asked) -> bool:
    """Who is no browser sends no Origin."""
    own = {f"{scheme}://{host.lower()}" for host in asked.values("host") for scheme in ("http", "https")}
    return any(origin.lower() not in own for origin in asked.values("origin"))


def _by_another_site(asked: Asked) -> bool:
    return any(site.lower() not in _NOT_ASKED_BY_ANOTHER for site in asked.values("sec-fetch-site"))


def _follows_a_link(asked: Asked) -> bool:
    """Alerts and chats lead to pages, which run nothing by being shown; what GraphQL answers is no page."""
    return asked.method == "GET" and list(asked.values("sec-fetch-mode")) == ["navigate"] and not _runs_graphql(asked)


def _runs_graphql(asked: Asked) -> bool:
    return bool(asked.method) and asked.path.rstrip("/").endswith("/graphql")


def _is_json(asked: Asked) -> bool:
    """By the type itself: Dagster is content with application/json anywhere in the header, which a form can have."""
    types = asked.values("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() in _JSON
