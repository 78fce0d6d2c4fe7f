"""Start a run: check everything it needs, create its directory, then run the machine; a refusal writes nothing."""

import os
import socket
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from townlet.dto.journal import Entry, EnvironmentChecked, ProcessStarted, RunCreated, ScheduleChange
from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.errors import TownletError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.engine.visit import Visit
from townlet.machine.journal.chain import Journal
from townlet.machine.schedule.loader import Replacements, load_text, read_schedule, require_torch
from townlet.machine.schedule.overrides import Override, overridden
from townlet.machine.schedule.partial import Describe
from townlet.machine.schedule.rehearsal import shrink
from townlet.machine.schedule.remaining import least_steps_after
from townlet.machine.schedule.yaml_source import MAX_BYTES, SourceSyntaxError, read
from townlet.machine.schedule.yaml_text import dump, edit
from townlet.policy.model.weights import read_weights, verifier
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.environment_checks import check_custom_teacher, check_promises, refuse_broken
from townlet.policy.training.fingerprint import fingerprint
from townlet.policy.training.services import ReplayDatasetService, TrainingServices
from townlet.policy.training.strategies.anneal import AnnealStrategy
from townlet.policy.training.strategies.base import require_device
from townlet.policy.training.teacher_reference import policy_bytes
from townlet.policy.training.telemetry import Telemetry
from townlet.ports import EnvironmentDescription, EnvironmentProvider
from townlet.store.blobs import BlobStore
from townlet.store.links import link_last, link_policies, linked_registry
from townlet.store.path_text import local_path, stored_text
from townlet.store.registry.registry import Registry
from townlet.store.registry.ssh_signatures import read_signers, require_library
from townlet.store.rundir import RunDirectory
from townlet.store.untrusted import read_regular

__all__ = [
    "RunLauncher",
    "ScheduleSource",
    "read_signers_of",
    "require_means",
    "schedule_text",
    "weights_from_outside",
    "with_absolute_files",
]

_LISTENER = "a listener to the journal"


def schedule_text(schedule: ScheduleSpec) -> bytes:
    """Return a schedule that was built in Python as the YAML of its run directory."""
    plain = schedule.model_dump()

    def pruned(value: object) -> object:
        if isinstance(value, dict):
            return {key: pruned(item) for key, item in value.items() if item is not None}
        return [pruned(item) for item in value] if isinstance(value, list) else value

    return dump(pruned(plain))


def with_absolute_files(schedule: ScheduleSpec, folder: Path) -> ScheduleSpec:
    """Return a schedule whose weights from outside are named by absolute paths; relative ones start in `folder`."""
    files = {
        name: policy if policy.file is None else evolve(policy, file=str(folder / policy.file))
        for name, policy in schedule.policies.items()
    }
    return evolve(schedule, policies=files)


def weights_from_outside(
    schedule: ScheduleSpec, folder: Path, description: EnvironmentDescription, blobs: BlobStore
) -> tuple[bytes, ...]:
    """Return the files under `policies`, read, proven and fitting; BadInputError naming the unfit one."""
    files = []
    for name, policy in schedule.policies.items():
        data, source = policy_bytes(policy, folder, blobs), policy.file or f"policy {name}"
        read_weights(data, source).check_fits(description, source)
        files.append(data)
    return tuple(files)


def read_signers_of(schedule: ScheduleSpec, folder: Path) -> tuple[str, ...]:
    """Return the public keys, a line each, of the file that a schedule names; none where it names none."""
    if schedule.registry.signers is None:
        return ()
    require_library()
    path = folder / local_path(schedule.registry.signers)
    return tuple(key.line for key in read_signers(read_regular(path, MAX_BYTES), str(path)))


def require_means(plan: Plan, catalogue: StrategyCatalogue) -> None:
    """Raise TorchNotAvailableError or BadInputError where torch, or a device that a state names, is missing here."""
    require_torch(plan, catalogue)
    for name, options in plan.options.items():
        entry = catalogue.entry(plan.schedule.states[name].strategy)
        if entry.requires_torch or entry.gpu_requires_torch:
            require_device(f"state {name}", entry.device(options))


def _open_registry(schedule: ScheduleSpec, home: Path, run: RunDirectory) -> Registry:
    """Return the registry that a schedule names: the home's, or the run's own."""
    path = home / "registry.sqlite" if schedule.registry.scope == "home" else run.registry
    return linked_registry(home, path, verifier(BlobStore(home / "blobs").get))


def _check_champion(schedule: ScheduleSpec, home: Path, blobs: BlobStore, description: EnvironmentDescription) -> None:
    """Raise BadInputError where the champion in force cannot play in the schedule's environment."""
    registry = schedule.registry
    if registry.scope == "run":
        return  # a run's own registry begins empty
    champion = Registry(home / "registry.sqlite").champion(registry.name, registry.champion)
    if champion is not None:
        source = f"champion {registry.name}/{registry.champion} version {champion.version}"
        read_weights(blobs.get(champion.weights), source).check_fits(description, source)


@frozen(kw_only=True)
class ScheduleSource:
    """The YAML of a schedule, read once, and where it comes from."""

    text: bytes
    """The YAML: what is checked, hashed, run and copied to the run directory."""
    name: str
    """What messages call it: its path, or the name of a schedule made in Python."""
    folder: Path
    """Directory that relative paths in the schedule start from."""
    file: Path | None
    """File that holds `text`: `resume` refuses unannounced edits of it. None for a schedule made in Python."""
    overrides: tuple[Override, ...] = ()
    """Values that take the place of the text's own; `settled` writes them into it."""
    changes: tuple[ScheduleChange, ...] = ()
    """What the overrides that `text` holds replaced in it."""

    @classmethod
    def of(cls, config: "ScheduleSpec | Path | ScheduleSource") -> "ScheduleSource":
        """Return the source of a schedule, or of the file that holds it; BadInputError where it cannot be read."""
        if isinstance(config, ScheduleSource):
            return config
        if isinstance(config, Path):
            return cls(text=read_schedule(config), name=str(config), folder=config.parent, file=config)
        return cls(text=schedule_text(config), name=config.name, folder=Path(), file=None)

    @classmethod
    def overriding(
        cls, config: "ScheduleSpec | Path | ScheduleSource", overrides: tuple[Override, ...]
    ) -> "ScheduleSource":
        """Return the source of a schedule with values in place of its own."""
        return evolve(cls.of(config), overrides=overrides)

    def plan(
        self, catalogue: StrategyCatalogue, describe: Describe, *, seed: int | None, replaced: Replacements | None
    ) -> Plan:
        """Return the schedule proven sound, with the overrides and what is `replaced`; ScheduleError otherwise."""
        return load_text(
            self.text,
            self.name,
            catalogue,
            describe,
            folder=self.folder,
            seed=seed,
            replaced=replaced,
            overrides=self.overrides,
        )

    @property
    def trackers(self) -> Mapping[str, Mapping[str, str]]:
        """Options of the trackers that the text names, by tracker; none where they are not written as they should."""
        try:
            found = read(self.settled().text).data.get("trackers") or {}
            return {name: {key: str(value) for key, value in (own or {}).items()} for name, own in found.items()}
        except (AttributeError, SourceSyntaxError, TownletError):
            return {}  # the check of the whole schedule says what is wrong

    def settled(self) -> "ScheduleSource":
        """Return the source whose text holds the overrides, which were checked before; it is its own file then."""
        if not self.overrides:
            return self
        given = overridden(read(self.text).data, self.overrides)
        edits = ((place, override.text) for override, place in given.places)
        text = edit(self.text, edits, given.data)
        return evolve(self, text=text, file=None, overrides=(), changes=(*self.changes, *given.changes))

    def with_own_registry(self) -> "ScheduleSource":
        """Return the source with the registry inside the run's directory; this one where it is so.

        All else stays as it is written, so that runs under other seeds have one schedule.
        """
        source = self.settled()
        data = read(source.text).data
        if data["registry"].get("scope") == "run":
            return source
        data = {**data, "registry": {**data["registry"], "scope": "run"}}
        return evolve(source, text=dump(data), name=f"{self.name} with a registry of its own", file=None)

    def replaced_by(self, schedule: ScheduleSpec, name: str) -> "ScheduleSource":
        """Return the source of a schedule that was made of this one."""
        return evolve(self.settled(), text=schedule_text(schedule), name=name, file=None)


@frozen(kw_only=True)
class RunLauncher:
    """Starts a run in a new directory, or continues one from its journal."""

    plan: Plan
    """The sound machine to run."""
    home: Path
    """Where runs, blobs and the registry live."""
    environments: EnvironmentProvider
    """Makes environments and teachers."""
    services: TrainingServices | None
    """Used instead of the built-in ones."""
    catalogue: StrategyCatalogue
    """The strategies that the schedule may name."""
    listen: Callable[[Entry], None]
    """Called with every journal record once it is durable; an error that it raises is counted and told at the end."""
    telemetry: Telemetry
    """Where iterations are reported; the run's own file is added."""
    stopping: Callable[[], bool]
    """Returns True once the process is asked to stop."""
    on_plan: Callable[[Plan], None]
    """Called with the machine before its first state is visited."""

    def start(self, source: ScheduleSource, *, rehearse: bool = False, directory: Path | None = None) -> AnnealSummary:
        """Run the machine in a new run directory and return its summary.

        Everything that can be refused is refused before the directory exists: torch or a GPU that is missing, weights
        from outside that do not fit, a champion of another environment. The run begins to exist with its first record.
        """
        plan, source = shrink(self.plan, self.catalogue) if rehearse else self.plan, source.settled()
        schedule, blobs = plan.schedule, BlobStore(self.home / "blobs")
        require_means(plan, self.catalogue)
        description = self.environments.describe(schedule.environment.scenario)
        outside = weights_from_outside(schedule, source.folder, description, blobs)
        signers = read_signers_of(schedule, source.folder)
        _check_champion(schedule, self.home, blobs, description)
        reports = check_promises(self.environments, schedule)
        refuse_broken(reports)
        check_custom_teacher(self.environments, schedule)
        metadata = {
            "seed": schedule.seed,
            "versions": dict(fingerprint()),
            "folder": stored_text(source.folder.resolve()),
            "steps_after": dict(least_steps_after(plan, self.catalogue, description, self._suites(schedule))),
        }
        if source.file is not None:
            metadata["source"] = stored_text(source.file.resolve())

        def begin(staged: RunDirectory) -> None:
            for data in (source.text, *outside):  # not before: a sweep waits for a run that is being created
                blobs.put(data)
            created = RunCreated(
                run=staged.id,
                name=schedule.name,
                schedule=sha256(source.text).hexdigest(),
                seed=schedule.seed,
                rehearsal=rehearse,
                environment=description.signature,
                fingerprint=fingerprint(),
                signers=signers,
                changes=source.changes,
            )
            journal = Journal(staged.journal, staged.head, self.catalogue)
            journal.append(created)
            for report in reports:
                journal.append(EnvironmentChecked(report=report))

        run = RunDirectory.create(self.home, schedule.name, source.text, metadata, target=directory, begin=begin)
        if not rehearse:
            link_last(self.home, run.path)
        listen = self.telemetry.failures.guarded(_LISTENER, self.listen)
        with run.lock():
            journal = Journal(run.journal, run.head, self.catalogue)
            for entry in journal.entries:
                listen(entry)
            return self.resume(plan, run, journal, ProcessStarted(pid=os.getpid(), host=socket.gethostname()))

    def _suites(self, schedule: ScheduleSpec) -> dict[str, EnvironmentDescription]:
        names = {name for evidence in schedule.evidence.values() for name in evidence.scenarios}
        return {name: self.environments.describe(name) for name in sorted(names)}

    def resume(self, plan: Plan, run: RunDirectory, journal: Journal, process: ProcessStarted) -> AnnealSummary:
        """Run the machine from the state of the journal to its end or a hold; hold the run's lock around it."""
        blobs, failures = BlobStore(self.home / "blobs"), self.telemetry.failures
        failures.guarded("a listener to the plan", self.on_plan)(plan)
        context = TrainingContext(
            visit=Visit.outermost(plan.schedule.seed),
            plan=plan,
            blobs=blobs,
            environments=self.environments,
            services=self.services or TrainingServices(replay=ReplayDatasetService(blobs)),
            telemetry=evolve(
                self.telemetry,
                path=run.metrics,
                listen=failures.guarded("a listener to the metrics", self.telemetry.listen),
                report=failures.guarded("a listener to the iterations of ppo", self.telemetry.report),
            ),
        )
        registry = _open_registry(plan.schedule, self.home, run)
        strategy = AnnealStrategy(
            run_directory=run,
            journal=journal,
            registry=registry,
            catalogue=self.catalogue,
            process=process,
            stopping=self.stopping,
            listen=failures.guarded(_LISTENER, self.listen),
        )
        # numpy's defaults: where the caller has set `all="raise"`, a sum that underflows would end the run
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            strategy.prepare(context)
            try:
                return strategy.run(context)
            finally:
                link_policies(self.home, registry)  # a process that died may have moved the alias and no more
                failures.warn()
