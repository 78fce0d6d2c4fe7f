r"""Text from outside in Markdown: names and sentences that stay text, whatever they hold.

>>> print(markdown_text("<b>*x*</b> a_b [c](d) $e$ see www.f.g"))
&lt;b&gt;&#42;x&#42;&lt;/b&gt; a_b &#91;c&#93;(d) &#36;e&#36; see www&#46;f.g
>>> print(code("a`b|c"))
``a`b\|c``
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from townlet.escapes import one_line

__all__ = ["bullets", "code", "markdown_text", "table"]

_MARKUP = re.compile(
    r"[\\`*\[\]<>&|$~]"  # emphasis, links, images, HTML, tables, formulas
    r"|(?<!\w)_|_(?!\w)"  # emphasis; inside a name an underscore is one
    r"|:(?=//)|@|(?<=\bwww)\.",  # what becomes a link, or calls a person, by itself
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"#+(?=\s|$)|[+-](?=\s|$)|\d+(?=[.)](?:\s|$))|(?:=+|-+)\s*$")
"""What makes a heading, a list or a rule at the beginning of a line."""
_TICKS = re.compile("`+")


def markdown_text(text: str) -> str:
    """Return a text as one line that Markdown shows as it is: no markup, no HTML, no link, no formula."""
    line = _MARKUP.sub(lambda match: _entity(match.group()), one_line(text))
    begins = _BEGINNING.match(line)
    return line if begins is None else "".join(map(_entity, begins.group())) + line[begins.end() :]


def _entity(character: str) -> str:
    """Return a character as HTML names it."""
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(character, f"&#{ord(character)};")


def code(name: str) -> str:
    """Return a name as a code span, also for a cell of a table; a name that is empty is empty."""
    line = one_line(name).replace("|", r"\|").strip()
    if not line:
        return ""
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(line)), default=0))
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; its cells are Markdown already, without a bare ``|``."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def bullets(sentences: Iterable[str]) -> Iterator[str]:
    """Yield sentences as items of a list; they are text, and are escaped here."""
    yield from (f"- {markdown_text(sentence)}" for sentence in sentences)
