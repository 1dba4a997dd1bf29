"""Text of strangers where people read it: on a line of a terminal or a log, and in Markdown.

What belongs here: the one way to write each. What does not: how much of a record is shown, and where.
Keys, values, headers and names may hold anything. What does not print would command a terminal, end a line and begin
another one, or turn the order of its characters round; what Markdown knows would be a link, a picture or HTML.
"""

MOST_SAID = 500


def on_a_line(text: str) -> str:
    """Text with everything written out that is not printable.

    Line breaks of every kind, tabs, escapes, controls of direction, what has no width, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def said(text: object, most: int = MOST_SAID) -> str:
    """What another program says, such as an error of a server: on a line, and cut where it is longer than `most`.

    Neither Kafka, PostgreSQL nor Redis promises a length, and whoever answers in their place may send megabytes.
    """
    line = on_a_line(" ".join(str(text)[: 4 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def in_markdown(text: str, most: int | None = None) -> str:
    """Text that Markdown takes for nothing but text, also in a cell of a table; cut where it is longer than `most`.

    As code: a bare address becomes a link even where all its signs are escaped, and in code it does not. What would end
    the code or the cell is replaced by its like; nobody reads a value back from here.
    """
    whole = on_a_line(text).replace("`", "'").replace("|", "¦")
    shown = whole if most is None or len(whole) <= most else f"{whole[:most]}…"
    return f"`{shown}`" if shown.strip() else ""
