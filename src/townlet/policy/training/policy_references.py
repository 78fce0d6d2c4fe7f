"""What a word on the command line names: a teacher, a run, a registered policy, a digest, or a weights file."""

import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from townlet.dto.policy_ref import parse_teacher
from townlet.dto.registry import Version
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError, TownletError
from townlet.machine.audit.snapshot import RunSnapshot, load_run
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.evaluation.comparison import PolicyReference
from townlet.policy.model.weights import LIMIT
from townlet.store.blobs import BlobStore
from townlet.store.hints import command_line
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory
from townlet.store.untrusted import read_regular

__all__ = ["resolve"]

_DIGEST = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
"""The beginning of a weights digest; shorter ones say too little."""


def resolve(word: str, home: Path, catalogue: StrategyCatalogue) -> PolicyReference:
    """Return what `word` names; BadInputError says what was tried.

    ``teacher:NAME``; ``NAME@ALIAS`` in the home's registry, else in a run's own, the newest first; a run (its path, the
    beginning of its id, or ``latest``): the policy that it ended with; a weights file; the beginning of a digest.
    """
    for find in (_teacher, _file, _registered, _with_digest, _of_run):
        reference = find(word, home, catalogue)
        if reference is not None:
            return reference
    raise BadInputError(
        f"{word!r} is no policy; expected teacher:NAME, NAME@ALIAS of a registry, a run or `latest`, the path of a "
        f"weights file, or the first 6 digits or more of a digest that {command_line('registry', 'list', home=home)} "
        "shows"
    )


def _teacher(word: str, _: Path, __: StrategyCatalogue) -> PolicyReference | None:
    name = parse_teacher(word)
    return None if name is None else PolicyReference(source=word, teacher=name)


def _file(word: str, _: Path, __: StrategyCatalogue) -> PolicyReference | None:
    path = Path(word)
    try:
        if not path.exists() or path.is_dir():
            return None
    except (OSError, ValueError):  # too long, or no permission: then it is no file that can be read
        return None
    data = read_regular(path, LIMIT)
    return PolicyReference(source=word, weights=data, digest=sha256(data).hexdigest())


def _with_digest(word: str, home: Path, catalogue: StrategyCatalogue) -> PolicyReference | None:
    if not _DIGEST.fullmatch(word):
        return None
    for store, where in _registries(home):
        versions = {version.weights: version for version in store.versions() if version.weights.startswith(word)}
        if len(versions) > 1:
            raise BadInputError(f"{word!r} is the beginning of {len(versions)} digests in {where}; say more")
        if versions:
            return _of_version(next(iter(versions.values())), word, home, catalogue)
    blobs = BlobStore(home / "blobs")
    return (
        PolicyReference(source=word, weights=blobs.get(word), digest=word)
        if len(word) == 64 and blobs.has(word)
        else None
    )


def _find_run(word: str, home: Path) -> RunDirectory | None:
    with suppress(BadInputError):
        return RunDirectory.find(home, word)
    return None


def _registries(home: Path) -> Iterator[tuple[Registry, Path]]:
    """Yield the home's registry, then those of runs that have their own, the newest first."""
    yield Registry(home / "registry.sqlite"), home / "registry.sqlite"
    for run in reversed(RunDirectory.every(home)):
        if run.registry.is_file():
            yield Registry(run.registry), run.registry


def _registered(word: str, home: Path, catalogue: StrategyCatalogue) -> PolicyReference | None:
    if "@" not in word or "/" in word:
        return None
    name, _, alias = word.rpartition("@")
    places = []
    for store, where in _registries(home):
        places.append(str(where))
        version = store.champion(name, alias)
        if version is not None:
            return _of_version(version, word, home, catalogue)
    raise BadInputError(
        f"{name!r} has no alias {alias!r} in {', '.join(places[:3])}{' …' if len(places) > 3 else ''}; see: "
        f"{command_line('registry', 'list', home=home)}"
    )


def _of_version(version: Version, word: str, home: Path, catalogue: StrategyCatalogue) -> PolicyReference:
    """Return a registered policy, with the length of the episodes that its run compared it over."""
    snapshot = None
    run = _find_run(version.run, home)
    if run is not None:
        with suppress(TownletError):  # the policy can be evaluated though its run is damaged
            snapshot = load_run(run, BlobStore(home / "blobs"), catalogue)
    return PolicyReference(
        source=f"{word} (version {version.version} of {version.name}, run {version.run})",
        weights=BlobStore(home / "blobs").get(version.weights),
        digest=version.weights,
        environment=_environment(version, snapshot),
        days=None if snapshot is None else _days(snapshot),
    )


def _environment(version: Version, snapshot: RunSnapshot | None) -> EnvironmentSpec | None:
    """Return the environment of a policy: as its run configured it, else by the names that the registry keeps."""
    if snapshot is not None:
        return snapshot.schedule.environment
    environment, scenario = version.metadata.get("environment"), version.metadata.get("scenario")
    return None if environment is None or scenario is None else EnvironmentSpec(id=environment, scenario=scenario)


def _of_run(word: str, home: Path, catalogue: StrategyCatalogue) -> PolicyReference | None:
    """Return the policy that a run ended with: its last candidate."""
    run = _find_run(word, home)
    if run is None:
        return None
    own = run.home(home)
    blobs = BlobStore(own / "blobs")
    snapshot = load_run(run, blobs, catalogue)
    digest = snapshot.state.candidate
    if digest is None:
        raise BadInputError(f"{run.path}: run {run.id} has trained no policy yet; name a run that has")
    return PolicyReference(
        source=f"the policy of run {run.id}",
        weights=blobs.get(digest),
        digest=digest,
        environment=snapshot.schedule.environment,
        days=_days(snapshot),
    )


def _days(snapshot: RunSnapshot) -> int | None:
    return next((evidence.days for evidence in snapshot.schedule.evidence.values()), None)
