"""The runs of one schedule under several seeds: what the home holds of them, and the commands that are left to do."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import field, frozen

from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.imports import FLAG, Imports
from townlet.machine.replication.children import Job
from townlet.machine.replication.find import FoundRun, find_runs
from townlet.machine.replication.summary import Replication, replicate_of, sum_up
from townlet.machine.schedule.overrides import Override, overridden
from townlet.machine.schedule.yaml_source import SourceSyntaxError, read
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.launch import ScheduleSource, require_means
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore

__all__ = ["Replicates"]


@frozen(kw_only=True)
class Replicates:
    """One schedule, its registry inside each run's directory, under seeds S, S + 1 and so on."""

    path: Path
    """File of the schedule, as it was named: a child finds it from the same working directory."""
    home: Path
    """Where the runs are."""
    imports: Imports
    """The modules that the schedule may name."""
    overrides: tuple[Override, ...]
    """Values in place of the schedule's own."""
    schedule: ScheduleSpec
    """The schedule, proven sound."""
    digest: str
    """SHA-256 of the schedule that the runs follow."""
    seeds: range
    """Seeds of the runs."""
    environments: EnvironmentSource = field(repr=False)
    """Where the environment comes from."""

    @classmethod
    def of(
        cls,
        path: Path,
        count: int,
        *,
        first: int | None,
        home: Path,
        imports: Imports,
        overrides: tuple[Override, ...] = (),
    ) -> "Replicates":
        """Read a schedule and prove it sound; `first` is its own seed where not given, or 0.

        ScheduleError, BadInputError or TorchNotAvailableError before anything is written.
        """
        if not path.is_file():
            raise BadInputError(f"{path}: no file that every run can read again; expected a schedule's file")
        source = ScheduleSource.overriding(path, overrides)
        seed = 0 if first is None and _has_no_seed(source) else first
        orchestrator = PolicyTrainingOrchestrator(source, home=home, seed=seed, imports=imports)
        plan = orchestrator.plan(source)
        require_means(plan, catalogue())
        start = plan.schedule.seed
        if start + count > 2**63:
            raise BadInputError(f"the first seed is {start}; expected {count} seeds below 2**63")
        return cls(
            path=path,
            home=home,
            imports=imports,
            overrides=overrides,
            schedule=plan.schedule,
            digest=sha256(source.with_own_registry().text).hexdigest(),
            seeds=range(start, start + count),
            environments=orchestrator.source,
        )

    @property
    def import_words(self) -> tuple[str, ...]:
        """Words of a command line that allow the same imports."""
        return tuple(word for name in self.imports.allowed for word in (FLAG, name))

    @property
    def words(self) -> tuple[str, ...]:
        """Words of a command line that make the same schedule of the same file."""
        return (*(word for override in self.overrides for word in override.words), *self.import_words)

    def lock(self, seed: int) -> Path:
        """Return the file by which one process at a time works on a seed."""
        return self.home / "runs" / f".replicate-{self.digest[:16]}-{seed}"

    def found(self) -> Mapping[int, FoundRun]:
        """Return the run of each seed that the home holds."""
        return find_runs(self.home, self.digest, self.seeds, catalogue())

    def jobs(self) -> Sequence[Job]:
        """Return a run to begin or to resume for each seed whose run has not ended."""
        found, jobs = self.found(), list[Job]()
        imports, home = self.import_words, ("--home", str(self.home))
        for seed in self.seeds:
            if seed not in found:
                words = ("run", str(self.path), "--seed", str(seed), "--own-registry")
                jobs.append(Job(seed=seed, words=(*words, *self.words, *home)))
            elif found[seed].is_to_resume:
                jobs.append(Job(seed=seed, words=("resume", str(found[seed].directory.path), *imports, *home)))
        return jobs

    def summary(self, problems: Mapping[int, str]) -> Replication:
        """Return what the home holds now; `problems` say by seed why a run could not go on."""
        blobs, found = BlobStore(self.home / "blobs"), self.found()
        replicates = [replicate_of(seed, found.get(seed), problems.get(seed, ""), blobs) for seed in self.seeds]
        metrics = self.environments.describe(self.schedule.environment).metrics
        directions = {metric.name: metric.direction.value for metric in metrics}
        return sum_up(self.schedule, self.digest, replicates, directions)


def _has_no_seed(source: ScheduleSource) -> bool:
    """Tell whether a schedule leaves the seed out; False for what is no schedule, which the loader refuses."""
    with suppress(SourceSyntaxError):
        data = overridden(read(source.text).data, source.overrides).data
        return isinstance(data, dict) and "seed" not in data
    return False
