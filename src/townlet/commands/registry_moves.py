"""`townlet registry rollback` and `mirror`: an alias moves here, and in the trackers that keep aliases."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, Actor, Home, Run, Track, current_user, find_registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from townlet.dto.registry import SignedMove, Version
    from townlet.ports import Tracker
    from townlet.store.registry.registry import Registry

__all__ = ["mirror", "rollback"]

PolicyName = Annotated[
    str, Parameter(help="Name under which the policies are registered: the schedule's `registry.name`.")
]


def rollback(
    name: PolicyName,
    *,
    reason: Annotated[str, Parameter(help="Why; the history keeps it.")],
    alias: Annotated[str, Parameter(help="Alias to move.")] = "champion",
    signature: Annotated[
        Path | None, Parameter(help="Signature of the request, where moves of the alias must be signed.")
    ] = None,
    actor: Actor = None,
    track: Track = (),
    run: Run | None = None,
    home: Home = HOME,
) -> int:
    """Move an alias back to its previous version, after its weights are verified; the history keeps both moves.

    Where its moves must be signed, the command without `--signature` writes the request, and exits with 3. The alias
    moves in the trackers too that keep aliases: those of `--track`, and of the schedule that promoted the version.
    """
    from townlet.errors import BadInputError
    from townlet.report import terminal

    if not reason.strip():
        raise BadInputError("--reason is empty; give the reason, the history keeps it")
    store = find_registry(home, run)
    trackers = _trackers(store, name, alias, track, home)
    signed = _signed_rollback(store, name, alias, reason, signature) if store.signers(name, alias) else None
    version = store.rollback(name, alias, actor=actor or current_user(), reason=reason, signed=signed)
    terminal.show(f"{name}@{alias} names version {version.version} again: weights {version.weights}")
    _mirror(trackers, version, alias, reason, run, home)
    return 0


def mirror(
    name: PolicyName,
    *,
    alias: Annotated[str, Parameter(help="Alias to mirror.")] = "champion",
    track: Track = (),
    run: Run | None = None,
    home: Home = HOME,
) -> int:
    """Let an alias in trackers name the version that it names here, as after a rollback that did not reach them."""
    from townlet.errors import BadInputError
    from townlet.store.hints import list_command

    store = find_registry(home, run)
    version = store.champion(name, alias)
    if version is None:
        raise BadInputError(
            f"{store.path}: {alias!r} of {name!r} names nothing; to see what there is: {list_command(store.path)}"
        )
    trackers = _trackers(store, name, alias, track, home)
    if not trackers:
        raise BadInputError("no tracker that keeps aliases is named; name one: --track mlflow")
    _mirror(trackers, version, alias, "mirrored", run, home)
    return 0


def _trackers(store: "Registry", name: str, alias: str, words: "Sequence[str]", home: Path) -> "Mapping[str, Tracker]":
    """Return the trackers that keep aliases: those that are named, and those of the run that promoted the version.

    BadInputError where one is named that keeps none.
    """
    from townlet.errors import BadInputError, TownletError
    from townlet.policy.training.launch import ScheduleSource
    from townlet.store.rundir import RunDirectory
    from townlet.trackers.find import TrackerOptions, find_trackers

    version = store.champion(name, alias)
    of_schedule: TrackerOptions = {}
    with suppress(TownletError):  # a run that is gone names no tracker
        if version is not None:
            of_schedule = ScheduleSource.of(RunDirectory.find(home, version.run).schedule).trackers
    found = find_trackers(words, of_schedule, home)
    kept = {each: tracker for each, tracker in found.items() if tracker.keeps_aliases}
    if refused := sorted(set(found) - set(kept) - set(of_schedule)):
        raise BadInputError(f"{refused[0]} keeps no aliases; leave it out")
    return kept


def _mirror(
    trackers: "Mapping[str, Tracker]", version: "Version", alias: str, reason: str, run: str | None, home: Path
) -> None:
    """Move the alias in every tracker; ResourceFaultError, with the command to repeat it, where one refuses."""
    from townlet.dto.tracking import AliasMove
    from townlet.errors import ResourceFaultError
    from townlet.report import terminal
    from townlet.store.blobs import BlobStore
    from townlet.store.hints import command_line

    file = BlobStore(home.absolute() / "blobs").path(version.weights)
    move = AliasMove(
        policy=version.name, alias=alias, version=version.version, weights=version.weights, file=file, reason=reason
    )
    for name, tracker in trackers.items():
        try:
            tracker.move(move)
        except Exception as error:
            words = ("--alias", alias, "--track", name, *(() if run is None else ("--run", run)))
            again = command_line("registry", "mirror", version.name, *words, home=home)
            raise ResourceFaultError(
                f"tracker {name}: {alias!r} was not moved there ({type(error).__name__}: {error}); here it names "
                f"version {version.version}; once the tracker can be reached: {again}"
            ) from error
        terminal.show(f"{name}: {version.name}@{alias} names the weights of version {version.version}")


def _signed_rollback(store: "Registry", name: str, alias: str, reason: str, signature: Path | None) -> "SignedMove":
    """Return the signature of a rollback, verified; HoldError, with the request as a file, where none was brought."""
    from townlet.errors import HoldError
    from townlet.store.files import write_atomic
    from townlet.store.registry.signing import message_of, signed_move
    from townlet.store.untrusted import decode_text, read_regular

    signers, target = store.signers(name, alias), store.rollback_target(name, alias).weights
    statement = store.statement(name, alias, "rollback", target=target, signers=signers, reason=reason)
    if signature is None:
        request = store.path.with_name("rollback_request.json")
        write_atomic(request, message_of(statement))
        raise HoldError(
            f"{alias!r} of {name!r} moves only with a signature; sign {request} with townlet sign, then give the "
            "command again, with the same reason and --signature"
        )
    return signed_move(statement, decode_text(read_regular(signature, 2**16), signature), signers)
