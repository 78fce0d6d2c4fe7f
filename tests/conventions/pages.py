"""The pages of the documentation, their code blocks and their links."""

import re
from pathlib import Path

from places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language, in order."""
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that lead to files of the repository."""
    targets = _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return [target.split("#")[0] for target in targets if "://" not in target and not target.startswith("#")]
