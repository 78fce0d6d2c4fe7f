"""The inbox: a directory of operator commands, one file each, which the engine reads and removes."""

import json
import re
import secrets
from pathlib import Path

from attrs import evolve

from townlet.canonical import canonical_json
from townlet.dto.codec import structure, unstructure
from townlet.dto.journal import OperatorCommand
from townlet.errors import BadInputError, TownletError
from townlet.store.files import DISK, resource_errors, write_atomic
from townlet.store.untrusted import read_regular

__all__ = ["discard", "send", "waiting"]

_NAME = re.compile(r"\d{20}-[0-9a-f]{12}\.json", re.ASCII)
_LARGEST = 2**16
"""Bytes of a command that is read; a sentence and a digest need far less."""


def send(inbox: Path, command: OperatorCommand) -> str:
    """Write a command into an inbox atomically and return its id.

    ResourceFaultError where the disk refuses, BadInputError for a command too long to be read.
    """
    data = canonical_json(unstructure(command))
    if len(data) > _LARGEST:
        raise BadInputError(f"this command takes {len(data)} bytes, expected at most {_LARGEST}; give a shorter reason")
    name = f"{int((command.sent or 0.0) * 1e6):020d}-{secrets.token_hex(6)}.json"
    write_atomic(inbox / name, data)
    return name


def waiting(inbox: Path) -> tuple[OperatorCommand, ...]:
    """Return the commands in an inbox: aborts first, then the oldest.

    A file that cannot be read becomes a rejected command; a folder is ignored.
    """
    if not inbox.is_dir():
        return ()
    with resource_errors("read this inbox", inbox):
        names = sorted(path.name for path in inbox.iterdir() if _NAME.fullmatch(path.name) and not _is_folder(path))
    commands = [_read(inbox / name) for name in names]
    return tuple(sorted(commands, key=lambda command: (command.command != "abort", command.id)))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def discard(inbox: Path, command: OperatorCommand) -> None:
    """Remove the file of a command that is in the journal."""
    with resource_errors("remove this command", inbox / command.id):
        DISK.get().remove(inbox / command.id)


def _read(path: Path) -> OperatorCommand:
    try:
        if path.is_symlink():
            raise ValueError("expected a file of its own")
        command = structure(json.loads(read_regular(path, _LARGEST)), OperatorCommand)
    except (OSError, ValueError, RecursionError, TownletError) as error:
        reason = f"not a command ({type(error).__name__})"
        return OperatorCommand(command="unreadable", actor="unknown", id=path.name, refused=reason)
    return evolve(command, id=path.name)
