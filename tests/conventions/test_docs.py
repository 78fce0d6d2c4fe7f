"""Examples run, links lead somewhere, commands exist."""

import re
from pathlib import Path

import pytest
from pages import PAGES, blocks, links
from places import ROOT

from townlet.cli import run_command

COMMANDS = sorted(
    {
        command
        for page in PAGES
        for block in blocks(page, "sh")
        for command in re.findall(
            r"^ *townlet ([a-z-]+(?: (?:verify|show|why|replay|list|history|rollback))?)", block, re.MULTILINE
        )
    }
)
DECISIONS = sorted((ROOT / "docs" / "adr").glob("ADR-*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """A link within the repository names a file or directory that exists."""
    assert [] == [target for target in links(page) if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run from top to bottom, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every townlet command in a shell block accepts --help."""
    monkeypatch.chdir(tmp_path)

    assert 0 == run_command([*command.split(), "--help"])


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_decisions_are_short_and_linked(page: Path) -> None:
    """A decision takes at most 60 lines, begins with its number, and points to another one."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = "-".join(page.stem.split("-")[:2])

    assert len(lines) <= 60
    assert lines[0].startswith(f"# {number}: ")
    assert {Path(target).name for target in links(page)} & {other.name for other in DECISIONS} - {page.name}


def test_the_first_decisions_are_written() -> None:
    """Protocols, town, boundary and strategies each have their record."""
    assert ["ADR-001", "ADR-002", "ADR-003", "ADR-004"] == [page.stem[:7] for page in DECISIONS[:4]]
