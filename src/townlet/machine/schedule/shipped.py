"""The schedules that Townlet ships, and how a word on the command line becomes a schedule file."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from attrs import frozen

from townlet.dto.codec import Record, did_you_mean
from townlet.errors import BadInputError

__all__ = ["ShippedSchedule", "editor_line", "find_schedule", "schema_file", "shipped_schedule", "shipped_schedules"]

_EDITOR = "# yaml-language-server:"
"""Beginning of the comment by which the YAML language server finds the schema of a file."""


@frozen(kw_only=True)
class ShippedSchedule(Record):
    """A schedule file of the package."""

    name: str
    """The file's name without ``.yaml``: the word that `townlet run` accepts."""
    path: Path
    """The file."""
    summary: str
    """One sentence: the comment at the top of the file."""

    def copy(self) -> str:
        """Return the text, for a file anywhere on this machine: an editor finds the schema from there."""
        first, *lines = self.path.read_text(encoding="utf-8").splitlines()
        return "\n".join([editor_line(), *([] if first.startswith(_EDITOR) else [first]), *lines, ""])


@cache
def shipped_schedules() -> tuple[ShippedSchedule, ...]:
    """Return the shipped schedules, ordered by name; none where the package was installed without them."""
    return tuple(
        ShippedSchedule(name=path.stem, path=path, summary=_summary(path)) for path in sorted(_folder().glob("*.yaml"))
    )


def shipped_schedule(name: str) -> ShippedSchedule:
    """Return a shipped schedule by its name; BadInputError, with the nearest name, where there is none."""
    schedules = {schedule.name: schedule for schedule in shipped_schedules()}
    if name not in schedules:
        raise BadInputError(f"unknown schedule {name!r}{did_you_mean(name, tuple(schedules))}")
    return schedules[name]


def find_schedule(word: str | Path) -> Path:
    """Return the schedule file that `word` names: an existing path, else a shipped schedule.

    A word with a folder or a suffix can only be a path and is returned as it is, so that whoever opens it reports its
    absence. BadInputError, with the nearest name, where another word names nothing.
    """
    path = Path(word)
    if path.exists() and not path.is_dir():
        return path
    names = {schedule.name: schedule.path for schedule in shipped_schedules()}
    if str(word) in names:
        return names[str(word)]
    if path.suffix or len(path.parts) != 1 or path.is_dir():
        return path
    raise BadInputError(
        f"unknown schedule {str(word)!r}: there is no such file and no shipped schedule of this name"
        f"{did_you_mean(str(word), tuple(names))} (townlet schedules lists them)"
    )


def schema_file() -> Path:
    """Return the JSON Schema of schedules, as this version ships it: the options of its own strategies."""
    return _folder().parent / "docs" / "reference" / "schedule.schema.json"


def editor_line() -> str:
    """Return the comment by which an editor finds the schema from any directory of this machine.

    The YAML language server takes a URL, an absolute path, or a path from the file, and ends it at the first space.
    """
    path = schema_file().resolve()
    plain = str(path)
    return f"{_EDITOR} $schema={path.as_uri() if any(sign in plain for sign in ' #%') else plain}"


def _folder() -> Path:
    """Return ``townlet/schedules`` of an installed wheel; in a checkout, where it does not exist, ``schedules``."""
    package = Path(str(files("townlet")))
    packaged = package / "schedules"
    return packaged if packaged.is_dir() else package.parents[1] / "schedules"


def _summary(path: Path) -> str:
    """Return the comment lines at the top of a schedule, without the line for editors."""
    sentences: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(_EDITOR):
            sentences.append(line.lstrip("# "))
    return " ".join(sentences)
