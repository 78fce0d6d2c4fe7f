"""The inbox: a directory of operator commands, one file each, which the engine reads and removes.

What a file says of itself is not believed where the file system knows better: who owns it, and when it arrived.
"""

import json
import os
import re
import secrets
import stat
from pathlib import Path
from time import time

from attrs import evolve

from townlet.canonical import canonical_json
from townlet.dto.codec import structure, unstructure
from townlet.dto.journal import OperatorCommand
from townlet.errors import BadInputError, TownletError
from townlet.store.files import DISK, is_shared, resource_errors, write_atomic
from townlet.store.untrusted import read_regular

__all__ = ["discard", "has_commands", "send", "waiting"]

_NAME = re.compile(r"\d{20}-[0-9a-f]{12}\.json", re.ASCII)
_LARGEST = 2**16
"""Bytes of a command that is read; a sentence and a digest need far less."""
_MOST = 100
"""Commands that are carried out at once; each costs two synced writes."""


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


def has_commands(inbox: Path) -> bool:
    """Tell whether an inbox holds any command."""
    return bool(_names(inbox))


def waiting(inbox: Path, now: float) -> tuple[tuple[OperatorCommand, ...], tuple[str, ...]]:
    """Return the commands in an inbox, and the files of those beyond the hundred that are carried out at once.

    Commands of users who may give them come first, of these the aborts, then the oldest. `now` is the engine's time in
    seconds, by which the age of a file gives its arrival. A file that cannot be read becomes a rejected command; a
    folder is ignored.
    """
    names = _names(inbox)
    if not names:
        return (), ()
    is_group, lag = is_shared(inbox), now - time()
    commands = [_read(inbox / name, is_group=is_group, lag=lag) for name in names]
    ordered = sorted(commands, key=lambda command: (not command.is_allowed, command.command != "abort", command.id))
    return tuple(ordered[:_MOST]), tuple(command.id for command in ordered[_MOST:])


def _names(inbox: Path) -> list[str]:
    if not inbox.is_dir():
        return []
    with resource_errors("read this inbox", inbox), os.scandir(inbox) as files:
        return [file.name for file in files if _NAME.fullmatch(file.name) and not file.is_dir(follow_symlinks=False)]


def discard(inbox: Path, name: str) -> None:
    """Remove the file of a command that is in the journal."""
    with resource_errors("remove this command", inbox / name):
        DISK.get().remove(inbox / name)


def _read(path: Path, *, is_group: bool, lag: float) -> OperatorCommand:
    uid, is_allowed = None, False
    try:
        status = path.lstat()
        uid, is_allowed = status.st_uid, is_group or status.st_uid in (0, os.geteuid())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise ValueError("expected a file of its own")
        command = structure(json.loads(read_regular(path, _LARGEST)), OperatorCommand)
    except (OSError, ValueError, RecursionError, TownletError) as error:
        reason = f"not a command ({type(error).__name__})"
        command = OperatorCommand(command="unreadable", actor="unknown", refused=reason)
        return evolve(command, id=path.name, uid=uid, is_allowed=is_allowed)
    arrived = min(status.st_ctime, time()) + lag
    return evolve(command, id=path.name, uid=uid, is_allowed=is_allowed, arrived=arrived, refused="")
