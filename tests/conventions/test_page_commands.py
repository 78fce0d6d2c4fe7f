"""Every command line that a page shows is one that the program understands, options included."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError
from pages import PAGES, blocks
from places import ROOT

from townlet.cli import app
from townlet.errors import BadInputError

NOT_UNDERSTOOD = (UnknownCommandError, UnknownOptionError, UnusedCliTokensError)


def typed(page: Path) -> list[str]:
    """Return the lines of shell blocks and of shown terminals that call townlet, as a reader types them."""
    lines = [line.strip() for block in blocks(page, "sh") for line in block.splitlines()]
    lines += [line.strip().removeprefix("$ ") for block in blocks(page, "console") for line in block.splitlines()]
    return [line for line in lines if line.startswith("townlet ")]


def mentioned(page: Path) -> list[str]:
    """Return the commands that sentences mention, with their options; brackets and dots of usage lines left out."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(townlet [a-z][^`]*)`", prose)
    return [re.sub(r"[\[\]…]|\|\S+", "", span.replace("\\|", "|")) for span in spans]


def understood(line: str) -> None:
    """Parse a command line without running it, up to a redirection or a pipe."""
    words = shlex.split(re.split(r" [>|] ", line)[0], comments=True)[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_line_of_a_page_can_be_typed(page: Path) -> None:
    """Command, arguments and options are complete, and each value is of its kind."""
    for line in typed(page):
        understood(line)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if mentioned(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_command_that_a_sentence_mentions_has_these_options(page: Path) -> None:
    """A mention may leave arguments out and use words in capitals; its commands and options exist."""
    wrong = []
    for line in mentioned(page):
        try:
            understood(line)
        except NOT_UNDERSTOOD as error:
            wrong.append(f"{line}: {error}")
        except (CycloptsError, BadInputError):
            continue
    assert [] == wrong


@pytest.mark.parametrize("line", ["townlet check --nothing", "townlet checks x", "townlet audit why latest x y --no"])
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    """The test above can fail."""
    with pytest.raises(NOT_UNDERSTOOD):
        understood(line)
