"""Where the house stands, and how its lines are counted."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "townlet"


def code_lines(path: Path) -> int:
    """Return the lines of a Python file that are neither blank nor a comment; docstrings count."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)
