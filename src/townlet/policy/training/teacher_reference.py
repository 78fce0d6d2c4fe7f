"""Teachers that a schedule names by where they are: ``module:function``."""

from collections.abc import Callable
from pathlib import Path

from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.policy.training.argument_checks import as_teacher, teacher_maker
from townlet.ports import EnvironmentProvider, Teacher

__all__ = ["maker_of"]


def maker_of(reference: str, environment: EnvironmentProvider, imports: Imports, folder: Path) -> Callable[[], Teacher]:
    """Return what makes the teacher of a reference; BadInputError where it is not there, or no teacher.

    Paths are looked for in `folder`.
    """
    loaded = imports.load(reference, f"teacher {reference}")
    try:
        found = as_teacher(loaded)
    except BadInputError as error:
        raise BadInputError(f"teacher {reference}: {error}") from error
    if isinstance(found, str):
        raise BadInputError(f"teacher {reference} is the text {found!r}; expected a function or an object with act")
    return teacher_maker(environment, found)
