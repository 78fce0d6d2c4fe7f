"""Everything a run needs before its first state, checked so that what is refused leaves nothing behind."""

import io
import os
import platform
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ruamel.yaml import YAML

from townlet.dto.journal import RunCreated
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.policy.weights import read_weights
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore
from townlet.store.registry import Registry
from townlet.store.rundir import RunDirectory

__all__ = [
    "check_champion",
    "fingerprint",
    "open_registry",
    "run_created",
    "schedule_text",
    "weights_from_outside",
]

_LIBRARIES = ("townlet", "numpy", "scipy", "numba", "torch", "transitions", "attrs", "cattrs", "safetensors")


def schedule_text(schedule: ScheduleSpec) -> bytes:
    """Return a schedule that was built in Python as the YAML its run directory keeps."""
    plain = schedule.model_dump()

    def pruned(value: object) -> object:
        if isinstance(value, dict):
            return {key: pruned(item) for key, item in value.items() if item is not None}
        return [pruned(item) for item in value] if isinstance(value, list) else value

    text, yaml = io.BytesIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(pruned(plain), text)
    return text.getvalue()


def weights_from_outside(
    schedule: ScheduleSpec, folder: Path, description: EnvironmentDescription
) -> tuple[bytes, ...]:
    """Return the files under `policies`, read, proven and fitting; BadInputError naming the unfit one."""
    files = []
    for policy in schedule.policies.values():
        try:
            data = (folder / policy.file).read_bytes()
        except OSError as error:
            raise BadInputError(f"cannot read weights {policy.file!r}: {error.strerror}") from error
        read_weights(data, policy.file).check_fits(description, policy.file)
        files.append(data)
    return tuple(files)


def open_registry(schedule: ScheduleSpec, home: Path, run: RunDirectory) -> Registry:
    """Return the registry a schedule is about: the home's, or the run's own."""
    return Registry(home / "registry.sqlite" if schedule.registry.scope == "home" else run.registry)


def check_champion(schedule: ScheduleSpec, home: Path, blobs: BlobStore, description: EnvironmentDescription) -> None:
    """Raise BadInputError where the champion in force cannot play in the schedule's environment."""
    about = schedule.registry
    if about.scope == "run":
        return  # a run's own registry begins empty
    champion = Registry(home / "registry.sqlite").champion(about.name, about.champion)
    if champion is not None:
        source = f"champion {about.name}/{about.champion} version {champion.version}"
        read_weights(blobs.get(champion.weights), source).check_fits(description, source)


def fingerprint() -> dict[str, str]:
    """Return versions and machine: what exactness of bits may depend on."""
    found = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processors": str(len(os.sched_getaffinity(0))),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def run_created(
    schedule: ScheduleSpec, text: bytes, run: RunDirectory, signature: str, *, rehearsal: bool
) -> RunCreated:
    """Return the first record of a run's journal."""
    return RunCreated(
        run=run.id,
        name=schedule.name,
        schedule=sha256(text).hexdigest(),
        seed=schedule.seed,
        rehearsal=rehearsal,
        environment=signature,
        fingerprint=fingerprint(),
    )
