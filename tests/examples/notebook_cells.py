"""Run the code cells of a notebook as a kernel would: in one process, in order, each last expression shown.

``python notebook_cells.py NOTEBOOK [MODULE …]``: the modules count as not installed.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any


def main(notebook: str, *hidden: str) -> None:
    """Run the cells and print what they show; the first error ends it."""
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import of it fails
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            run_cell("".join(cell["source"]), f"cell {number}", names)


def run_cell(source: str, name: str, names: dict[str, Any]) -> None:
    """Run one cell."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if isinstance(last, ast.Expr):
        sys.stdout.write(f"{eval(compile(ast.Expression(last.value), name, 'eval'), names)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
