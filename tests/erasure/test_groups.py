"""Users of a list are erased some at a time, in transactions that are bounded."""

from assets.erasure.groups import USERS, grouped


def test_users_of_few_events_go_together_in_their_order() -> None:
    users = [f"user-{n}" for n in range(2 * USERS + 1)]
    groups = list(grouped(users, {}))
    assert [len(group) for group in groups] == [USERS, USERS, 1]
    assert [user for group in groups for user in group] == users


def test_a_group_holds_no_more_events_than_its_bound_unless_it_is_one_user() -> None:
    events = {"a": 6, "b": 4, "c": 1, "busy": 30, "d": 2}
    assert list(grouped(list(events), events, 10)) == [["a", "b"], ["c"], ["busy"], ["d"]]


def test_nobody_is_no_group() -> None:
    assert list(grouped([], {})) == []
