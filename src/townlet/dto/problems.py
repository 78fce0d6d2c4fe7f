"""Mistakes in the values of a record: each with its path, all in one error."""

from difflib import get_close_matches
from typing import Any

import attrs

from townlet.errors import BadInputError

__all__ = ["CodecError", "Problem", "RecordError", "did_you_mean", "problems_in", "short_repr"]


@attrs.frozen
class Problem:
    """One mistake in plain data."""

    path: tuple[str | int, ...]
    """Keys and indices from the root to the value."""
    message: str
    """The value and what was expected."""
    key: bool = False
    """True where the key itself is wrong, not its value."""

    def __str__(self) -> str:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip(".")
        return f"{where}: {self.message}" if where else self.message


class CodecError(BadInputError):
    """Plain data that does not fit its record; `problems` holds every mistake."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class RecordError(CodecError, ValueError, TypeError):
    """Arguments that do not fit the record that was to be built from them; the message names record and field.

    It is a ValueError and a TypeError too, as attrs' own checks raise.
    """

    def __init__(self, record: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.args = ("; ".join(f"{record}{'' if problem.path else ': '}{_dotted(problem)}" for problem in problems),)


def _dotted(problem: Problem) -> str:
    return f".{problem}" if problem.path and isinstance(problem.path[0], str) else str(problem)


def short_repr(value: Any) -> str:
    """Return a value as code in at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = f"a value of {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def problems_in(error: Exception, path: tuple[str | int, ...]) -> list[Problem]:
    """Return the mistakes that an error holds, each with its whole path; any other error is one mistake."""
    if isinstance(error, CodecError):
        return [attrs.evolve(problem, path=(*path, *problem.path)) for problem in error.problems]
    return [Problem(path, str(error))]


def did_you_mean(word: str, choices: list[str] | tuple[str, ...]) -> str:
    """Return `; did you mean 'x'?` for the choice nearest to a word, or the list of choices."""
    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of: {', '.join(choices)}"
