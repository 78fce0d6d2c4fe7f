r"""Make text from outside safe to show: no character of it moves the cursor, hides text or looks like a line of ours.

Names, reasons, errors of foreign code and anything from a file may hold control characters. `printable` is applied to
every text on its way to the terminal (`townlet.report.terminal`); nothing else needs to escape.

>>> print(printable("title \x1b]0;owned\x07 set"))
title \x1b]0;owned\x07 set
"""

import re

__all__ = ["one_line", "printable"]

_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # control characters, without the line feed
    "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible, or reverse the order of text
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, and tags
)


def printable(text: str) -> str:
    """Return `text` with every unsafe character as its escape; line feeds stay."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def one_line(text: str) -> str:
    """Return `text` as `printable` does, with line feeds as escapes too: for cells, and for words inside a sentence."""
    return printable(text).replace("\n", r"\n")
