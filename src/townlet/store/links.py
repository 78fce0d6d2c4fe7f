"""Readable names in a home: links to the weights that each alias names, and to the youngest run.

They are derived from the registry and the runs, for people and for programs of other makers; Townlet reads none of
them. Losing them loses nothing, and not being able to write them is told and stops nothing.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EOPNOTSUPP, EPERM
from functools import partial
from pathlib import Path

from townlet.errors import TownletError
from townlet.store.blobs import BlobStore
from townlet.store.files import contained, make_directory
from townlet.store.registry.registry import Registry
from townlet.store.run_index import is_run, read_metadata

__all__ = ["LAST", "POLICIES", "link_last", "link_policies", "linked_registry"]

LAST = "last"
"""Link of a home to its youngest run that is no rehearsal."""
POLICIES = "policies"
"""Directory of a home with a link for each alias: ``NAME@ALIAS.safetensors``."""
_LOG = logging.getLogger("townlet")


def linked_registry(home: Path, path: Path, verify: Callable[[str], object]) -> Registry:
    """Return a registry whose moves of an alias move the links of a home."""
    return Registry(path, verify=verify, moved=partial(link_policies, home))


def link_policies(home: Path, registry: Registry) -> None:
    """Let ``policies/NAME@ALIAS.safetensors`` lead to the weights that each alias of a registry names.

    Those of a run that has a registry of its own are called ``RUN@ALIAS.safetensors``.
    """
    with _warned(home / POLICIES):
        own = registry.path.parent
        run = str(read_metadata(own)["id"]) if is_run(own) else ""
        in_force = {(move.name, move.alias): move.weights for move in registry.history()}
        for (name, alias), weights in in_force.items():
            folder = contained(home, POLICIES)
            make_directory(folder)
            _link(folder / f"{run or name}@{alias}.safetensors", BlobStore(home / "blobs").path(weights))


def link_last(home: Path, run: Path) -> None:
    """Let ``last`` lead to a run's directory."""
    with _warned(home / LAST):
        _link(home / LAST, run)


@contextmanager
def _warned(path: Path) -> Iterator[None]:
    """Warn of a link that cannot be written; a file system that has no links is no news."""
    try:
        yield
    except (OSError, TownletError) as error:
        if getattr(error, "errno", None) not in (EPERM, EOPNOTSUPP):
            _LOG.warning("%s: the link is not up to date (%s); nothing depends on it", path, error)


def _link(link: Path, target: Path) -> None:
    """Replace a link atomically; a file or directory that a person put in its place stays."""
    own, goal = link.parent.resolve(), target.resolve()
    is_near = goal.is_relative_to(own.parent)  # a home that is moved or mounted elsewhere keeps its links
    text = os.path.relpath(goal, own) if is_near else str(goal)
    if link.is_symlink():
        if str(link.readlink()) == text:
            return
    elif os.path.lexists(link):
        raise FileExistsError(f"{link.name} is no link")
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(6)}.tmp")
    temporary.symlink_to(text)
    try:
        temporary.replace(link)
    except BaseException:  # the temporary link must not stay; the error is raised again
        with suppress(OSError):
            temporary.unlink()
        raise
