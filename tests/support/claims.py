"""The claims in a world's Redis, as tests look at them, forge them and let time pass over them.

What belongs here: where a claim is kept. What does not: what one means (`assets.ingest.dedup`).
"""

from typing import Any

from assets.ingest import claims
from tests.support.world import World

_LOOK_ONLY = b""


def find(world: World, event_id: bytes) -> bytes | None:
    """The claim of an id."""
    return claims.ask(_client(world), [event_id], _LOOK_ONLY, _window(world)).get(0)


def put(world: World, event_id: bytes, claim: bytes) -> None:
    """Write something as the claim of an id, whatever is there."""
    forget(world, event_id)
    claims.ask(_client(world), [event_id], bytes(claims.SIZE), _window(world))
    [name] = [each for each in hashes(world) if _client(world).hexists(each, event_id)]
    _client(world).hset(name, event_id, claim)


def forget(world: World, *event_ids: bytes) -> None:
    """Lose the claims of some ids."""
    for name in hashes(world):
        _client(world).hdel(name, *event_ids)


def hashes(world: World) -> list[bytes]:
    """The hashes that hold claims of this world's window."""
    return list(_client(world).scan_iter(f"mr:{_window(world) + 60_000}:*"))


def make_no_hashes(world: World) -> None:
    """Put something else under the name of each hash."""
    for name in hashes(world):
        _client(world).set(name, b"no hash")


def periods_pass(world: World, number: int) -> None:
    """All claims become so many periods older."""
    for name in hashes(world):
        begin, period, shard = name.rsplit(b":", 2)
        _client(world).rename(name, b"%b:%d:%b" % (begin, int(period) - number, shard))


def _window(world: World) -> int:
    return int(world.settings.dedup_window.total_seconds() * 1000)


def _client(world: World) -> Any:
    return world.worker.redis.call(_itself)


def _itself(client: Any) -> Any:
    return client
