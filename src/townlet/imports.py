"""Imports that a schedule asks for: only under the prefixes that the person at the keyboard allows."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import frozen

from townlet.errors import BadInputError

__all__ = ["FLAG", "Imports"]

FLAG = "--allow-import"
"""The option of the command line that allows a prefix; it can be repeated."""


@frozen
class Imports:
    """The modules that a schedule may name: none by default, because a file of text must not run code by itself."""

    allowed: tuple[str, ...] = ()
    """Prefixes of dotted names: ``mypkg`` allows ``mypkg`` and ``mypkg.controllers``, and not ``mypkgs``."""

    def allows(self, name: str) -> bool:
        """Return whether a module may be imported."""
        return any(name == prefix or name.startswith(f"{prefix}.") for prefix in self.allowed)

    def module(self, name: str, where: str) -> ModuleType:
        """Return a module; BadInputError where it is not allowed, not there, or raises while it is imported.

        `where` names what asks for it. Modules of the working directory are found as `python -m` finds them.
        """
        if not all(part.isidentifier() for part in name.split(".")):
            raise BadInputError(f"{where}: {name!r} is no name of a module; expected words with dots between them")
        if not self.allows(name):
            raise BadInputError(
                f"{where} would import the module {name!r}, and a schedule imports nothing by itself; if you trust it, "
                f"allow it: {FLAG} {name.partition('.')[0]}, or in Python allow_imports=[{name.partition('.')[0]!r}]"
            )
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)  # last: a file of the working directory hides no installed module
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or name
            advice = (
                "it is neither installed nor in the working directory"
                if missing == name or name.startswith(f"{missing}.")
                else f"it needs {missing!r}, which is not installed"
            )
            raise BadInputError(f"{where}: the module {name!r} cannot be imported: {advice}") from error
        except Exception as error:  # a module's code runs while it is imported
            raise BadInputError(
                f"{where}: the module {name!r} raised {type(error).__name__} while it was imported: {error}"
            ) from error

    def load(self, reference: str, where: str) -> Any:
        """Return what ``module:name`` names; BadInputError where it cannot be had. Dots in the name lead inwards."""
        module_name, colon, path = reference.partition(":")
        if not colon or not module_name or not path:
            raise BadInputError(f"{where}: expected MODULE:NAME, found {reference!r}")
        found: Any = self.module(module_name, where)
        for part in path.split("."):
            if not hasattr(found, part):
                public = sorted(word for word in getattr(found, "__dict__", {}) if not word.startswith("_"))
                raise BadInputError(
                    f"{where}: {module_name!r} has no {path!r}; it has {', '.join(public[:10]) or 'no public names'}"
                )
            found = getattr(found, part)
        return found
