"""Who is counted in an hour or a day: the members of ops.hour_members and ops.day_members, and where an hour's stand.

What belongs here: the digests that stand for a user under a table's key, and the slot of an hour. What does not: adding
members (`hourly`, `daily`). Digests and slots are stored, so they stay as they are, different as the two digests have
become: a change of one needs a migration that makes its table's rows again.
"""

from psycopg import sql

from assets.aggregates.declare import Aggregate

HOUR_NUMBER = sql.SQL("(extract(epoch from f.hour) / 3600)::integer")
"""Of a fact `f`: hours since 1970."""

SLOT = sql.SQL("((floor(extract(epoch from f.hour) / 86400)::integer % 8 + 8) % 8)::smallint")
"""Of a fact `f`: its day modulo 8, also before 1970. `sql/hours_tracked.sql` computes the same from the number."""


def hour_member(table: Aggregate) -> sql.Composed:
    """Digest of table, key and user of a fact `f`: lengths stand before the keys, so no two facts have one text."""
    keys = [_text(name) for name in table.key[1:]]
    parts = [sql.Literal(table.name), *(sql.SQL("':' || length({})").format(key) for key in keys), sql.Literal(":")]
    return sql.SQL("md5({})::uuid").format(sql.SQL(" || ").join([*parts, *keys, sql.SQL("f.user_id")]))


def day_member(table: Aggregate) -> sql.Composed:
    """Digest of key and user of a fact `f`, for rows that name their table: a length stands before each text."""
    texts = [_text(name) for name in (*table.key[1:], "user_id")]
    joined = sql.SQL(" || ").join(sql.SQL("length({0}) || ':' || {0}").format(text) for text in texts)
    return sql.SQL("substr(encode(sha256(convert_to({}, 'UTF8')), 'hex'), 1, 32)::uuid").format(joined)


def _text(name: str) -> sql.Composed:
    """A null has a digest, too: it is the table that refuses it, by the name of its column."""
    return sql.SQL("coalesce(f.{}::text, '')").format(sql.Identifier(name))
