"""`millrace dead-letters`: what it prints, what it asks, and how it ends."""

import getpass
import json

import pytest

from contract.codes import RejectionCode
from tests.dead_letters.support import answer, command, dead_letter_rows, ids, new_thing
from tests.support.world import World, encoded, event

pytestmark = pytest.mark.services

_SECRET = "the-secret-of-u1"
NOTHING = {"summary": [], "groups": [], "letters": []}


def three_dead_letters(world: World) -> list[int]:
    """Two of a type that nobody knows, one that is too large by default."""
    payload = {"userId": "u1", "page": _SECRET, "more": "x" * 1_100_000}
    world.produce(
        [*encoded(new_thing(), new_thing(), event(payload=payload))], headers=[("trace", b"\xff\x00")], key=b"k"
    )
    world.ingest()
    return ids(world)


def test_list_counts_by_code_and_field_and_shows_the_newest_with_their_reasons(world: World) -> None:
    first, second, large = three_dead_letters(world)
    shown = command(world, "list")
    assert shown.exit_code == 0
    assert "3 dead letters" in shown.output
    assert _SECRET not in shown.output
    found = answer(world, "list", "--limit", "2")
    assert [(g["code"], g["letters"]) for g in found["summary"]] == [("unknown_type", 2), ("too_large", 1)]
    assert [x["id"] for x in found["letters"]] == [large, second]
    assert {"key", "value", "headers"}.isdisjoint(found["letters"][0])
    assert [(g["code"], g["path"], g["letters"], g["example"]) for g in found["groups"]] == [
        ("unknown_type", "$.type", 2, second),
        ("too_large", "$", 1, large),
    ]
    assert found["letters"][1]["reason"].endswith(f'found "{new_thing()["type"]}"')
    assert f'found "{new_thing()["type"]}"' in shown.output
    assert [x["id"] for x in answer(world, "list", "--code", "unknown_type")["letters"]] == [second, first]
    assert answer(world, "list", "--status", "discarded") == NOTHING
    assert answer(world, "list", "--until", "1h") == NOTHING
    assert len(answer(world, "list", "--since", "1h", "--topic", world.topic)["letters"]) == 3
    assert command(world, "list", "--topic", "elsewhere").output == "no open dead letters\n"


def test_list_names_the_commands_that_follow_and_they_work(world: World) -> None:
    three_dead_letters(world)
    said = [
        line.split(": ", 1)[1].strip() for line in command(world, "list").output.splitlines() if "millrace " in line
    ]
    assert [line.split()[:3] for line in said] == [["millrace", "dead-letters", each] for each in ("show", "redrive")]
    for line in said:
        assert command(world, *line.split()[2:]).exit_code in (0, 1)
    assert {row[1] for row in dead_letter_rows(world)} == {"open"}


def test_a_group_ends_before_a_name_that_a_producer_has_made_up(world: World) -> None:
    fields = [{f"ann{n}@example.org": "\ud800"} for n in range(2)]
    bad = [event(kind="form_submit", payload={"userId": "u", "formId": "f", "fields": each}) for each in fields]
    world.produce(encoded(*bad))
    world.ingest()
    [group] = answer(world, "list")["groups"]
    assert (group["code"], group["path"], group["letters"]) == ("unstorable_text", "$.payload.fields", 2)


@pytest.mark.parametrize("event_id", ["0190163d-8694-739b-aea5-966c26f8ad91", 'straße/7 \u2028 "x"', "u1"])
def test_a_dead_letter_is_found_by_the_id_of_its_event_however_it_is_written(world: World, event_id: str) -> None:
    made = new_thing(event_id)
    plain = json.dumps(made, ensure_ascii=False).encode()
    world.produce([plain, json.dumps(made).replace("/", "\\/").encode(), plain[:-1], *encoded(new_thing())], key=b"k")
    world.ingest()
    first, second, third, other = ids(world)
    asked = event_id.upper() if "739b" in event_id else event_id
    assert [x["id"] for x in answer(world, "list", "--event-id", asked)["letters"]] == [third, second, first]
    assert [x["id"] for x in answer(world, "show", "--event-id", asked)] == [first, second, third]
    missing = command(world, "show", "--event-id", "elsewhere")
    assert (missing.exit_code, missing.stderr[:37]) == (1, "no dead letter holds that eventId: it")
    assert command(world, "show", "--event-id", asked, str(other)).exit_code == 2


def test_what_is_chosen_by_key_or_event_id_is_audited_without_either(world: World) -> None:
    for key in (b"ann@example.org", "straße".encode(), None):
        world.produce(encoded(new_thing("id-of-ann")), key=key)
    world.ingest()
    first, second, _ = ids(world)
    assert [x["id"] for x in answer(world, "list", "--key", "straße")["letters"]] == [second]
    assert [x["id"] for x in answer(world, "list", "--key", "ann@example.org")["letters"]] == [first]
    discarded = answer(world, "discard", "--key", "straße", "--yes", "--reason", "test")
    assert discarded["discarded"] == 1
    answer(world, "redrive", "--event-id", "id-of-ann", "--key", "ann@example.org", "--yes")
    subjects = world.query("select subject from ops.audit_log order by audit_id")
    assert subjects == [("one key",), ("one key; one event id",)]


def test_show_prints_everything_of_a_dead_letter_cut_unless_full(world: World) -> None:
    *_, large = three_dead_letters(world)
    shown = command(world, "show", str(large)).output
    assert f"{world.topic}/0@2" in shown
    assert _SECRET in shown
    assert "trace: hex ff00" in shown
    assert "key       k" in shown
    assert "1  20" in shown  # the first attempt and its time
    assert "--full shows all" in shown
    assert len(shown) < 4_000 < 1_100_000 < len(command(world, "show", str(large), "--full").output)
    [found] = answer(world, "show", str(large))
    assert json.loads(found["value"]["text"])["payload"]["page"] == _SECRET
    assert found["headers"] == [[{"text": "trace"}, {"hex": "ff00"}]]
    assert [(a["attempt"], a["outcome"], a["code"]) for a in found["history"]] == [(1, "refused", "too_large")]


def test_what_a_dead_letter_holds_forges_no_line_and_cannot_command_the_terminal(world: World) -> None:
    forged = '\n  status    resolved\r\n\x85\u2028\u2029\x0b\x1b[2J\u202e\t{"type": "[red]x[/]"}'
    trace = [("a\nb", b"c\r\x1b]0;x\x07"), ("bytes", b"\xff\n")]
    world.produce([forged.encode()], key="k\nkey       other\u2066".encode(), headers=trace)
    world.ingest()
    [dead_letter] = ids(world)
    query = "update raw.dead_letters set reason = %s returning 1"
    world.query(query, forged)
    shown = command(world, "show", str(dead_letter), "--full").output
    assert all(line.isprintable() for line in shown.split("\n"))
    assert [line.split()[0] for line in shown.splitlines()] == [
        *("dead", "record", "sent", "code", "reason", "attempts", "1", "header", "header", "key", "value")
    ]
    assert "\\n  status    resolved\\r\\n\\x85\\u2028\\u2029\\x0b\\x1b[2J\\u202e\\t{" in shown
    assert answer(world, "show", str(dead_letter))[0]["value"]["text"] == forged
    raw = command(world, "show", str(dead_letter), "--json").output
    assert all(line.isprintable() for line in raw.split("\n"))


def test_a_list_shows_names_of_strangers_as_they_are_and_on_one_line(world: World) -> None:
    world.produce([b"garbage"])
    world.ingest()
    world.query("update raw.dead_letters set topic = %s returning 1", "[red]a\n9\u2028[/]\x1b[2J")
    shown = command(world, "list").output
    assert "[red]a\\n9\\u2028[/]\\x1b[2J/0@0" in "".join(line.strip() for line in shown.split("\n"))
    assert all(line.isprintable() for line in shown.split("\n"))


def test_redrive_ends_with_0_when_all_are_resolved_and_with_1_when_some_are_refused_again(world: World) -> None:
    *_, large = three_dead_letters(world)
    more = {"MILLRACE_MAX_VALUE_BYTES": "2000000"}
    assert command(world, "redrive", str(large), "--dry-run", **more).exit_code == 0
    assert dead_letter_rows(world)[2][1] == "open"
    done = command(world, "redrive", str(large), **more)
    assert (done.exit_code, dead_letter_rows(world)[2][1]) == (0, "resolved")
    assert "1 dead letter chosen: 1 resolved, 0 refused again" in done.output
    again = command(world, "redrive", "--code", "unknown_type", "--yes")
    assert again.exit_code == 1
    assert "2 dead letters chosen: 0 resolved, 2 refused again" in again.output
    assert f"dead letter {large} is resolved already" in command(world, "redrive", str(large)).stderr
    found = world.query("select actor, action, subject, details from ops.audit_log order by audit_id")
    assert [(a, b, c) for a, b, c, _ in found] == [
        (getpass.getuser(), "redrive", f"dead letters {large}"),
        (getpass.getuser(), "redrive", "code unknown_type"),
    ]
    assert found[0][3]["by_code"] == {"too_large": {"stored": 1}}
    assert found[1][3]["by_code"] == {"unknown_type": {"refused": 2}}


def test_more_than_one_dead_letter_is_not_touched_where_nobody_can_be_asked(world: World) -> None:
    three_dead_letters(world)
    for arguments in (("redrive", "--all"), ("discard", "--all", "--reason", "x")):
        done = command(world, *arguments)
        assert done.exit_code == 2
        assert f"this would {arguments[0]} 3 dead letters" in done.stderr
    assert {row[1] for row in dead_letter_rows(world)} == {"open"}


def test_discard_needs_a_reason_and_leaves_it_in_the_audit(world: World) -> None:
    three_dead_letters(world)
    assert command(world, "discard", "--all", "--yes").exit_code == 2
    done = answer(world, "discard", "--code", "unknown_type", "--yes", "--reason", "load test of Tuesday")
    assert done == {"discarded": 2, "by_code": {"unknown_type": 2}}
    [(action, details)] = world.query("select action, details from ops.audit_log")
    assert (action, details["reason"], details["discarded"]) == ("discard", "load test of Tuesday", 2)


def test_what_is_wrong_is_said_in_a_line_and_ends_with_2(world: World) -> None:
    three_dead_letters(world)
    away = {"MILLRACE_POSTGRES_URL": "postgresql://nobody:pw@127.0.0.1:1/none"}
    said = {
        "there is no dead letter 4711, 4712\n": command(world, "redrive", "4711", "4712"),
        "there is no dead letter 4713\n": command(world, "show", "4713"),
        "PostgreSQL cannot be reached (MILLRACE_POSTGRES_URL)": command(world, "list", **away),
        ", ".join(repr(code.value) for code in RejectionCode): command(world, "redrive", "--code", "nonsense"),
        "Name dead letters, or choose them by": command(world, "redrive", "1", "--all"),
        "expected a time such as": command(world, "list", "--since", "yesterday"),
    }
    for text, found in said.items():
        assert found.exit_code == 2
        assert text in found.stderr
        assert "pw" not in found.stderr


def test_of_a_thousand_headers_twenty_are_shown(world: World) -> None:
    world.produce([b"no event"], headers=[(f"h{n}", b"v") for n in range(1000)])
    world.ingest()
    [one] = ids(world)
    shown = command(world, "show", str(one)).output
    assert len([line for line in shown.splitlines() if line.startswith("  header")]) == 21
    assert "(980 more; --full shows all)" in shown
    assert len(command(world, "show", "--full", str(one)).output.splitlines()) > 1000
