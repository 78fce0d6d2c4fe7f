"""Sum up a replication: what each seed's run came to, and how the runs differ beside the error within each."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from townlet.confidence.between_runs import LEAST_RUNS, Spread, share_interval, spread
from townlet.dto.codec import Record
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.replication.evidence import Gain, GuardedKpi, gain_of, guarded_kpis, last_evidence
from townlet.machine.replication.find import FoundRun
from townlet.store.blobs import BlobStore

__all__ = ["ALPHA", "KpiSpread", "Replicate", "Replication", "replicate_of", "sum_up"]

ALPHA = 0.05
"""Error of every two-sided interval."""


@frozen(kw_only=True)
class Replicate(Record):
    """The run of one seed."""

    seed: int
    """Seed of the run."""
    run: str = ""
    """Id of the run; empty where there is none."""
    path: str = ""
    """Its directory."""
    state: str
    """State that the run is in; ``not started``, ``damaged`` or ``locked`` where it cannot be told."""
    reason: str = ""
    """Why, in words."""
    has_ended: bool = False
    """Whether the run closed, or waits for a person."""
    promoted: bool = False
    """Whether promote moved the champion in the run's own registry."""
    gains: tuple[Gain, ...] = ()
    """KPIs of the last evidence that guards compare; those that must become better come first."""
    agent_steps: int = 0
    """Agent-steps of all finished visits."""
    seconds: float = 0.0
    """Seconds that the finished visits took."""
    weights: str | None = None
    """Digest of the last weights under test."""


@frozen(kw_only=True)
class KpiSpread(Record):
    """One KPI's gains over the runs that have both a candidate and a baseline."""

    metric: str
    """Name of the KPI."""
    against: str
    """Name of the baseline."""
    direction: str
    """Direction in which the KPI improves: higher, lower or none."""
    runs: int
    """n, runs with a gain."""
    mean: float
    """Mean of the runs' gains."""
    sd: float
    """Standard deviation between the runs."""
    within: float
    """Standard error of a run's own gain: the root of the mean square."""
    noise_share: float | None
    """Share of the variance between runs that the errors within runs explain; None where the runs do not vary."""
    retraining_sd: float
    """Standard deviation that is left for training again."""
    low: float
    """Lower end of the 95 % interval of the mean; the run is the unit."""
    high: float
    """Upper end."""


@frozen(kw_only=True)
class Replication(Record):
    """The runs of one schedule under several seeds."""

    schedule: str
    """Name of the schedule."""
    digest: str
    """SHA-256 of the schedule that the runs follow."""
    replicates: tuple[Replicate, ...]
    """One for each seed, in the order of the seeds."""
    ended: int
    """n, runs that ended: done, held, failed or aborted."""
    promoted: int
    """How many of these promoted."""
    promoted_low: float
    """Lower end of the exact 95 % interval of that share; 0 without a run."""
    promoted_high: float
    """Upper end; 1 without a run."""
    spreads: tuple[KpiSpread, ...]
    """One for each guarded KPI that two runs or more have a gain in."""

    @property
    def speaks_of_recipe(self) -> bool:
        """Whether enough runs ended to say something of the recipe, not only of their own weights."""
        return self.ended >= LEAST_RUNS


def replicate_of(seed: int, found: FoundRun | None, problem: str, blobs: BlobStore) -> Replicate:
    """Return what the run of one seed came to; a `problem` is why this process could not go on with it."""
    if found is None:
        return Replicate(seed=seed, state="not started", reason=problem)
    run, path = found.directory.id, str(found.directory.path)
    if found.snapshot is None:
        return Replicate(seed=seed, run=run, path=path, state="damaged", reason=problem or found.problem)
    state, schedule = found.snapshot.state, found.snapshot.schedule
    table = last_evidence(found.snapshot, blobs)
    gains = [] if table is None else [gain_of(table, kpi) for kpi in guarded_kpis(schedule)]
    reason = state.closed.reason if state.closed is not None else state.reason
    return Replicate(
        seed=seed,
        run=run,
        path=path,
        state=state.state,
        reason=reason if found.has_ended else problem or "not finished",
        has_ended=found.has_ended,
        promoted=state.champion_moved,
        gains=tuple(gain for gain in gains if gain is not None),
        agent_steps=state.agent_steps,
        seconds=sum(stage.result.duration for stage in state.stages),
        weights=state.candidate,
    )


def sum_up(
    schedule: ScheduleSpec, digest: str, replicates: Sequence[Replicate], directions: Mapping[str, str]
) -> Replication:
    """Return the summary over all seeds; `directions` are the better directions of the KPIs by name."""
    ended = [replicate for replicate in replicates if replicate.has_ended]
    promoted = sum(replicate.promoted for replicate in ended)
    low, high = share_interval(promoted, len(ended), ALPHA)
    spreads = (_spread_of(kpi, ended, directions) for kpi in guarded_kpis(schedule))
    return Replication(
        schedule=schedule.name,
        digest=digest,
        replicates=tuple(replicates),
        ended=len(ended),
        promoted=promoted,
        promoted_low=low,
        promoted_high=high,
        spreads=tuple(each for each in spreads if each is not None),
    )


def _spread_of(kpi: GuardedKpi, ended: Sequence[Replicate], directions: Mapping[str, str]) -> KpiSpread | None:
    gains = [
        gain
        for replicate in ended
        for gain in replicate.gains
        if (gain.metric, gain.against) == (kpi.metric, kpi.baseline)
    ]
    if len(gains) < 2:
        return None
    found: Spread = spread([gain.gain for gain in gains], [gain.error for gain in gains], ALPHA)
    return KpiSpread(
        metric=kpi.metric,
        against=kpi.baseline,
        direction=directions.get(kpi.metric.rpartition(".")[2], "none"),
        runs=found.runs,
        mean=found.mean,
        sd=found.sd,
        within=found.within,
        noise_share=found.noise_share,
        retraining_sd=found.retraining_sd,
        low=found.low,
        high=found.high,
    )
