"""The inbox: operator commands as files, renamed in by whoever gives them, read and removed by the engine."""

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


def send(inbox: Path, order: OperatorCommand) -> str:
    """Put an order into an inbox, wholly or not at all, and return its id.

    ResourceFaultError where the disk refuses, BadInputError for an order too long to be read.
    """
    data = canonical_json(unstructure(order))
    if len(data) > _LARGEST:
        raise BadInputError(f"this order takes {len(data)} bytes, expected at most {_LARGEST}; give a shorter reason")
    name = f"{int((order.sent or 0.0) * 1e6):020d}-{secrets.token_hex(6)}.json"
    write_atomic(inbox / name, data)
    return name


def waiting(inbox: Path) -> tuple[OperatorCommand, ...]:
    """Return the orders in an inbox: aborts first, then the oldest.

    A file that cannot be read comes refused; a folder is no order.
    """
    if not inbox.is_dir():
        return ()
    with resource_errors("read this inbox", inbox):
        names = sorted(path.name for path in inbox.iterdir() if _NAME.fullmatch(path.name) and not _is_folder(path))
    orders = [_read(inbox / name) for name in names]
    return tuple(sorted(orders, key=lambda order: (order.command != "abort", order.id)))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def discard(inbox: Path, order: OperatorCommand) -> None:
    """Remove the file of an order that is in the journal."""
    with resource_errors("remove this command", inbox / order.id):
        DISK.get().remove(inbox / order.id)


def _read(path: Path) -> OperatorCommand:
    try:
        if path.is_symlink():
            raise ValueError("expected a file of its own")
        found = structure(json.loads(read_regular(path, _LARGEST)), OperatorCommand)
    except (OSError, ValueError, RecursionError, TownletError) as error:
        why = f"not a command ({type(error).__name__})"
        return OperatorCommand(command="unreadable", actor="unknown", id=path.name, refused=why)
    return evolve(found, id=path.name)
