"""Text of strangers forges no line on a terminal, and in Markdown it is nothing but text."""

import re

import pytest
from markdown_it import MarkdownIt

from assets.aggregates.markdown import bars, markdown_table
from contract.shown import in_markdown, on_a_line, said

BREAKS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\t", "\x00")
ESCAPES = ("\x1b[2J", "\x9b2J", "\x1b]8;;https://evil.example\x07", "\x08", "\x7f")
INVISIBLE = (
    "\u202e",
    "\u202d",
    "\u2066",
    "\u2067",
    "\u2069",
    "\u200e",
    "\u200f",
    "\u061c",
    "\u200b",
    "\ufeff",
    "\u00ad",
)
OTHERS = ("\ud800", "\udc41", "\U000e0041", "\ue000", "\u3000", "\u00a0", "\ufff9")


@pytest.mark.parametrize("sign", [*BREAKS, *ESCAPES, *INVISIBLE, *OTHERS])
def test_what_does_not_print_is_written_out(sign: str) -> None:
    shown = on_a_line(f"a{sign}b")
    assert shown.isprintable()
    assert len(shown.splitlines()) == 1
    assert shown.startswith("a\\")
    assert shown.encode("utf-8").decode() == shown
    assert on_a_line("Grüße, 漢字 שלום \\ [red] ✓") == "Grüße, 漢字 שלום \\ [red] ✓"


FORGED = (
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "https://evil.example",
    "www.evil.example",
    "someone@evil.example",
    "<https://evil.example>",
    "`</code>[a](b:c)`",
    "``` [a](https://evil.example) ```",
    "a | [b](https://evil.example) | c",
    "\\| [b](https://evil.example) \\\\| c",
    "\\`[a](https://evil.example)",
    "&lt;b&gt; &#60;b&#62;",
    "a\n\n# heading\n\n[b](https://evil.example)",
    "a\u2028| x | [b](https://evil.example)",
    "**bold** _it_ ~~gone~~ $x$ :smile:",
    "[a]\n\n[a]: https://evil.example",
    "\u202e[a](https://evil.example)",
    "x" * 59 + "`[a](https://evil.example)",
)
PLAIN = {"table_open", "thead_open", "tbody_open", "tr_open", "th_open", "td_open", "inline", "text", "code_inline"}


def kinds(markdown: str) -> set[str]:
    """What a renderer makes of it, with tables, HTML and bare addresses as GitHub's Markdown has them."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    every = [*tokens, *(child for token in tokens for child in token.children or ())]
    found = {token.type for token in every if not token.type.endswith("_close")}
    linked = any(token.type == "text" and re.search(r"://|www\.|@", token.content) for token in every)
    return found | {"link"} if linked else found


@pytest.mark.parametrize("text", FORGED)
def test_in_a_table_of_markdown_it_is_nothing_but_text(text: str) -> None:
    made = markdown_table(("name", "number"), [(text, 1), ([text, text], 2), ("plain", 3)])
    assert kinds(made) <= PLAIN
    rows = [line for line in made.splitlines() if line]
    assert len(rows) == 5
    parsed = MarkdownIt("commonmark").enable("table").parse(made)
    assert [token.type for token in parsed].count("td_open") == 6
    assert [token.type for token in parsed].count("tr_open") == 4
    assert [token.content for token in parsed if token.type == "inline"][-2:] == ["`plain`", "3"]


@pytest.mark.parametrize("text", FORGED)
def test_in_a_line_of_markdown_it_is_nothing_but_text(text: str) -> None:
    assert kinds(f"before {in_markdown(text)} after") == {"paragraph_open", "inline", "text", "code_inline"}
    assert kinds(bars([(text, 2.0), ("b", 1.0)])) == {"fence"}


def test_nothing_is_shown_as_nothing_and_what_is_long_is_cut() -> None:
    assert (in_markdown(""), in_markdown("  ")) == ("", "")
    assert in_markdown("x" * 100, 60) == f"`{'x' * 60}…`"


def test_what_another_program_says_is_one_line_of_bounded_length() -> None:
    assert said("a  b\n c\u202e") == "a b c\\u202e"
    assert said(None) == "None"
    for long in ("x" * 5_000_000, "\u202e" * 5_000_000, " " * 5_000_000 + "x"):
        assert len(said(long)) <= 500
        assert len(said(long, 40)) <= 40
