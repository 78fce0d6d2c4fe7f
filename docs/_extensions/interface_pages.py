"""The reference pages on the public names of the package and on its errors."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from markdown_tables import MADE, ROOT, table

import townlet
from townlet.errors import EXIT_CODES

__all__ = ["api_page", "errors_page"]

SOURCES = ROOT / "src" / "townlet"


def errors_page() -> str:
    """Return docs/reference/errors.md: every class of errors below `TownletError`, with its exit code."""
    lines = [
        "# Errors and exit codes",
        "",
        "Every error that a user can meet is a `townlet.TownletError`; its message says where, what was found, what "
        "was expected, and what to do. The command line prints the message without a traceback and ends with the exit "
        "code of its class. " + MADE.format("townlet.errors"),
        "",
        "## Exit codes",
        "",
        *table(("code", "meaning"), ([str(code), meaning] for code, meaning in EXIT_CODES.items())),
        "## Classes",
        "",
        "A name in bold is public (`townlet.NAME`). *Is a* names the class to catch for the whole family.",
        "",
    ]
    classes = _error_classes()
    rows = (
        (f"**`{name}`**" if name in townlet.__all__ else f"`{name}`", f"`{base}`", code, sentence, f"`{file}`")
        for name, (base, code, sentence, file) in classes.items()
    )
    lines += table(("class", "is a", "exit code", "meaning", "in `src/townlet/`"), rows)
    return "\n".join(lines).rstrip() + "\n"


def _error_classes() -> dict[str, tuple[str, str, str, str]]:
    """Return base, exit code, sentence and file of each class of errors, read from the sources, parents first."""
    files = sorted(SOURCES.rglob("*.py"), key=lambda path: (path.name != "errors.py", str(path)))
    nodes = [
        (node, path.relative_to(SOURCES).as_posix())
        for path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    found: dict[str, tuple[str, str, str, str]] = {}
    size = -1
    while size != len(found):
        size = len(found)
        for node, file in nodes:
            base = next((b.id for b in node.bases if isinstance(b, ast.Name) and b.id in found), "")
            if node.name not in found and (base or node.name == "TownletError"):
                sentence = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
                found[node.name] = (base or "Exception", _exit_code(node, found, base), sentence, file)
    return found


def _exit_code(node: ast.ClassDef, found: Mapping[str, tuple[str, str, str, str]], base: str) -> str:
    """Return the exit code that a class states, else its base's."""
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and target.id == "exit_code" and isinstance(value, ast.Constant):
            return str(value.value)
    return found[base][1]


def api_page() -> str:
    """Return docs/reference/api.md: the public names, which Sphinx documents from their docstrings."""
    lines = [
        "# The Python interface: every public name",
        "",
        "These are the names of `dir(townlet)`; everything else is internal and may change. [From Python](python.md) "
        "shows how they are used. The documentation site puts signature and docstring in the place of each block "
        "below; in Python `help(townlet.NAME)` prints the same. " + MADE.format("townlet.__all__"),
        "",
    ]
    names = [name for name in townlet.__all__ if not name.startswith("__")]
    for heading, chosen in _API.items():
        lines += [f"## {heading}", ""]
        for name in sorted(filter(chosen, names), key=str.lower):
            directive = _directive(getattr(townlet, name))
            lines += ["```{eval-rst}", f".. {directive}:: townlet.{name}", "```", ""]
        names = [name for name in names if not chosen(name)]
    return "\n".join(lines).rstrip() + "\n"


def _directive(value: Any) -> str:
    kind = "autoexception" if inspect.isclass(value) and issubclass(value, Exception) else "autoclass"
    return kind if inspect.isclass(value) else "autofunction"


_API: dict[str, Callable[[str], bool]] = {
    "Calls": lambda name: name.islower(),
    "What they return": lambda name: name in {"AnnealResult", "AnnealSummary", "Policy", "RunData", "ScheduleSpec"},
    "Errors": lambda name: name.endswith("Error"),
    "Environments and teachers": lambda name: True,
}
