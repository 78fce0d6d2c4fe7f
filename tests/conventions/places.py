"""Where the repository stands, and how its lines of code are counted."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "townlet"


def code_lines(path: Path) -> int:
    """Return the lines of a Python file that are neither blank nor a comment nor part of a docstring."""
    text = path.read_text(encoding="utf-8")
    docs: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = (line.strip() for line in text.splitlines())
    return sum(bool(line) and not line.startswith("#") for n, line in enumerate(lines, 1) if n not in docs)


def importers(*libraries: str) -> frozenset[str]:
    """Return the modules that may import one of these libraries, as the contracts in pyproject.toml name them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    pairs = [pair.split(" -> ") for contract in contracts for pair in contract.get("ignore_imports", ())]
    return frozenset(source for source, target in pairs if target in libraries)
