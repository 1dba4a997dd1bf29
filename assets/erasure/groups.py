"""Which users of a list are erased in one transaction: some cost little alone, so many go together.

What belongs here: the bounds of one transaction of a list. What does not: the erasing (`erase`). One user is never
divided: what is left of the aggregates is repaired from what is left of the events, in the same transaction.
"""

from collections.abc import Iterator, Mapping, Sequence

USERS, EVENTS = 100, 20_000


def grouped(users: Sequence[str], events: Mapping[str, int], most: int = EVENTS) -> Iterator[list[str]]:
    """The users in their order, in groups that hold at most so many events and users, or are one user.

    Args:
        users: their ids.
        events: how many events are stored of each; who is not in it has none.
        most: events of a group.
    """
    group: list[str] = []
    held = 0
    for user in users:
        here = events.get(user, 0)
        if group and (held + here > most or len(group) == USERS):
            yield group
            group, held = [], 0
        group.append(user)
        held += here
    if group:
        yield group
