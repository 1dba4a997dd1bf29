"""Every Markdown file of the repository: what it links to is there, and what it tells to run exists.

What belongs here: what holds for all of them. What does not: what one of them claims (tests beside what it is about).
"""

import re
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from orchestration import cli
from resources import locks

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def documents() -> list[str]:
    """Those of the checkout, hidden folders left out but for GitHub's."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and (path.name[0] != "." or path.name == ".github")]
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


DOCUMENTS = documents()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_FOLDERS = "contract|resources|monitoring|producer|infra|assets|sensors|orchestration|tests|benchmarks"


@cache
def text_of(path: Path) -> str:
    """Without blocks of code, in which brackets mean other things."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> set[str]:
    """Headings as GitHub names them; the second of the same name gets a number."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *#*$", text_of(path), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(name if name not in found else f"{name}-1")
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', text_of(path)))


def broken(path: Path) -> list[str]:
    """Links of a file that lead nowhere."""
    wrong: list[str] = []
    for link in _LINK.findall(re.sub(r"`[^`\n]*`", "", text_of(path))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    assert broken(ROOT / name) == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("there.md", True),
        ("there.md#a-title-with-code", True),
        ("#own", True),
        ("https://example.org/x", True),
        ("gone.md", False),
        ("there.md#gone", False),
        ("../../../../../etc/passwd", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found(
    link: str, leads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# A title, with `code`\n")
    (tmp_path / "from.md").write_text(f"## Own\n[a\nlink]({link})\n")
    assert (broken(tmp_path / "from.md") == []) is leads


def told(program: str) -> set[str]:
    """What documents have their reader type, in blocks of shell and in code within lines, from a program's name on."""
    found: set[str] = set()
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = "\n".join(content for language, content in _FENCE.findall(text) if language in ("sh", "bash", ""))
        pieces = [*re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)), *blocks.replace("\\\n", "").splitlines()]
        for piece in pieces:
            part = piece.partition("  #")[0].strip()
            found.update(re.findall(rf"(?:^|[;&|(] *|\bsudo +)(?:\.venv/bin/)?{program} +([a-z][^;&|)]*)", part))
    return found


def test_every_make_target_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {line.split()[0] for line in told("make")}
    assert {"test", "lint", "test-aws"} <= asked
    assert asked - targets == set()


def strange(line: str) -> str | None:
    """The first word of a command line that Millrace's commands do not know."""
    found: click.Command | None = cli._cli  # pyright: ignore[reportPrivateUsage] - `main` is no click command
    words = line.split()
    while isinstance(found, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        name = words.pop(0)
        if (found := found.get_command(click.Context(found), name)) is None:
            return name
    known = {option for each in (found.params if found else ()) for option in (*each.opts, *each.secondary_opts)}
    asked = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    return next((option for option in asked if option not in known | {"--help"}), None)


def test_every_command_of_millrace_that_is_told_exists() -> None:
    asked = told("millrace")
    assert {"reconcile", "init", "worker", "dead-letters"} <= {line.split()[0] for line in asked}
    assert {line: wrong for line in asked if (wrong := strange(line))} == {}
    assert [strange(line) for line in ("reconsile", "reconcile --for 3m", "dead-letters lost", "up --detach")] == [
        "reconsile",
        "--for",
        "lost",
        None,
    ]


def test_every_file_of_ours_that_is_told_is_there() -> None:
    asked: dict[str, str] = {}
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        files = re.findall(rf"(?<![\w/.-])((?:{_FOLDERS})/[\w/.-]+\.\w+)", text)
        asked.update(dict.fromkeys(files, name))
    new = {line[6:] for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("+++ b/")}
    assert len(asked) > 20
    assert {path: name for path, name in asked.items() if path not in new and not (ROOT / path).exists()} == {}


def test_the_architecture_page_shows_the_import_contracts_that_are_enforced() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layered = [contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers"]
    chains = [" ← ".join(reversed(layers)).replace("assets.", "") for layers in layered]
    assert chains
    assert [chain for chain in chains if f"\n{chain}\n" not in ARCHITECTURE] == []


def test_the_architecture_page_lists_the_advisory_locks_in_their_order() -> None:
    shown = re.findall(r"^\| `([A-Z_]+)` \|", ARCHITECTURE.partition("## Locks")[2], re.MULTILINE)
    assert shown == [name for name in vars(locks) if name.isupper()]


def test_the_life_of_an_event_is_told_in_at_most_ten_steps_and_the_glossary_in_at_most_25_words() -> None:
    for title in ("The life of an event", "The life of a late event"):
        part = ARCHITECTURE.partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert 1 < len(re.findall(r"^\d+\. ", part, re.MULTILINE)) <= 10
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", ARCHITECTURE.partition("## Glossary")[2], re.MULTILINE)
    assert words == sorted(set(words))
    assert 10 < len(words) <= 25


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_first_link_leads_to_the_architecture_page(name: str) -> None:
    assert _LINK.findall(text_of(ROOT / name))[0] == "docs/architecture.md"


def records_of_decisions() -> list[Path]:
    """The ADRs."""
    return sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_each_record_of_a_decision_has_a_number_of_its_own() -> None:
    numbers = [int(path.name[:4]) for path in records_of_decisions()]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("path", records_of_decisions(), ids=lambda path: path.stem)
def test_a_record_of_a_decision_says_when_whether_it_holds_why_and_what_was_rejected(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.search(r"^\* \*\*Date\*\*: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert re.search(r"^\* \*\*Status\*\*: (accepted|superseded by \[ADR \d+\]\(.+\))$", text, re.MULTILINE)
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [title for title in titles if title != "Consequences"] == ["Context", "Decision", "Rejected alternatives"]
