"""The group `storage`: how large everything is, and what the server runs out of. Told more rarely than the rest."""

from collections.abc import Mapping
from dataclasses import dataclass

from contract.codes import RejectionCode
from monitoring.metrics.collect.snapshot import Snapshot
from monitoring.metrics.families import Samples
from monitoring.metrics.sql import statement
from resources.postgres import Connection
from resources.redis import Redis, RedisUnavailable


@dataclass
class Storage:
    """Asks PostgreSQL and both Redis servers."""

    servers: Mapping[str, Redis]
    capacity_bytes: int = 0

    def __call__(self, seen: Snapshot) -> Samples:
        """The values of the group.

        Raises:
            Unknown: PostgreSQL does not answer.
            psycopg.Error: it fails.
        """
        with seen.asked().asking() as connection:
            samples: Samples = {**_tables(connection), **_dead_letters(connection), **_server(connection)}
        return {**samples, **self._memory(), **self._capacity()}

    def _capacity(self) -> Samples:
        return {"millrace_database_capacity_bytes": {(): float(self.capacity_bytes)}} if self.capacity_bytes else {}

    def _memory(self) -> Samples:
        used: dict[tuple[str, ...], float] = {}
        limits: dict[tuple[str, ...], float] = {}
        for name, redis in self.servers.items():
            try:
                info = redis.call(lambda client: client.info("memory"))
            except RedisUnavailable:
                continue
            used[name,] = float(info["used_memory"])
            if limit := float(info.get("maxmemory", 0)):
                limits[name,] = limit
        return {"millrace_redis_memory_bytes": used, "millrace_redis_memory_limit_bytes": limits}


def _tables(connection: Connection) -> Samples:
    found = connection.execute(statement("tables")).fetchall()
    [[stored]] = connection.execute("select coalesce(sum(stored), 0)::float8 from ops.batches").fetchall()
    [[database]] = connection.execute("select pg_database_size(current_database())::float8").fetchall()
    rows = {(table,): float(about) for table, _, about in found}
    return {
        "millrace_table_bytes": {(table,): float(size) for table, size, _ in found},
        # By the ledger: counting the rows themselves would take minutes.
        "millrace_table_rows": {**rows, ("raw.events",): stored},
        "millrace_database_bytes": {(): database},
    }


def _dead_letters(connection: Connection) -> Samples:
    none = {(code.value,): 0.0 for code in RejectionCode}
    query = "select code, count(*) from raw.dead_letters where status = 'open' group by code"
    return {"millrace_dead_letters_open": {**none, **{(code,): float(n) for code, n in connection.execute(query)}}}


def _server(connection: Connection) -> Samples:
    [[oldest, ids, notifications]] = connection.execute(statement("server")).fetchall()
    known: Samples = {} if oldest is None else {"millrace_oldest_transaction_seconds": {(): float(oldest)}}
    return {
        **known,
        "millrace_transaction_ids_used": {(): float(ids)},
        "millrace_notify_queue_ratio": {(): float(notifications)},
    }
