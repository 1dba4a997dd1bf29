"""Which dead letters name users who are erased: one pass over all dead letters, however long the list of users is.

What belongs here: finding them. What does not: how a user's id is read out of broken bytes (`ingest.erasures`), and
the deleting (`erase`).
"""

from collections.abc import Collection

from assets.erasure.sql import statement
from assets.ingest import erasures
from resources.postgres import Connection

_SOUGHT_BY_THE_SERVER = 4  # of so few users the server looks for the id in the bytes, and sends only what holds it

Naming = dict[str, list[int]]
"""For each user the dead letters that name them, in order."""


def naming(connection: Connection, users: Collection[str]) -> Naming:
    """The dead letters that name some of the users.

    Args:
        connection: in a transaction.
        users: their ids.
    """
    found: Naming = {}
    few = len(users) <= _SOUGHT_BY_THE_SERVER
    name = "dead_letters_that_may" if few else "dead_letters_with_value"
    sought = {"keys": [way for user in users for way in erasures.written(user)]} if few else None
    wanted = frozenset(users)
    with connection.cursor(name) as cursor:
        cursor.itersize = 100  # each may have megabytes
        cursor.execute(statement(name), sought)
        for dead_letter, key, value in cursor:
            for user in wanted & erasures.names_in(key, value):
                found.setdefault(user, []).append(dead_letter)
    return found
