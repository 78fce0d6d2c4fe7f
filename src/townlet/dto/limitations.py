"""What the comparisons of a run could not show: facts beside its verdicts."""

from typing import Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict

__all__ = ["GuardLimitation", "KpiMove", "PairFacts", "RunLimitations", "Scope", "VisitLimitations"]


@frozen(kw_only=True)
class GuardLimitation(Record):
    """What one guard on evidence could detect, in the episodes at which it was decided."""

    guard: str
    """Name in the schedule."""
    metric: str
    """The metric."""
    unit: str
    """Unit of the metric."""
    verdict: Verdict
    """The verdict."""
    pairs: int
    """Pairs that were compared, or episodes of each side where they are not pairs."""
    power: float
    """Chance with which a difference counts as detectable."""
    detectable_sd: float | None = None
    """Smallest distance of the true mean from the limit, in standard deviations of the contrasts, at which the guard
    passes with `power` at the looks that were taken; none where all contrasts are equal or nothing was compared."""
    detectable: float | None = None
    """The same in the metric's unit; none where the metric's better direction is not known."""
    passes_at: float | None = None
    """The true difference, candidate − baseline, at that distance from the limit."""
    passes_above: bool = True
    """Whether the guard passes above that difference, or below it."""
    bound: float | None = None
    """Least or largest value that the metric can have, where it is nearer to the baseline than that difference, so that
    no policy can reach the difference; none where one can, or where no such value is known."""
    is_count: bool = False
    """Whether the guard compares two counts of events: no detectable difference is computed for that test."""
    bad_share: float | None = None
    """The share of bad episodes that a tail guard could not exclude."""
    difference: float | None = None
    """Mean difference that was measured."""
    skewness: float | None = None
    """Skewness of the contrasts; below 0 where the candidate has few large losses."""
    dropped: int = 0
    """Episodes that were left out of the comparison."""
    candidate_missing: int = 0
    """Episodes in which the baseline has exposure and the candidate has none."""
    baseline_missing: int = 0
    """Episodes in which the candidate has exposure and the baseline has none."""
    missing: Literal["worst", "drop"] | None = None
    """What such an episode counts as, by the schedule."""


@frozen(kw_only=True)
class PairFacts(Record):
    """What the episodes say of one guarded KPI against one baseline."""

    metric: str
    """The KPI's row in the evidence."""
    unit: str
    """Its unit."""
    baseline: str
    """Name of the baseline."""
    pairs: int
    """Episodes in which both sides have exposure."""
    correlation: float | None = None
    """Correlation of both sides over the episodes; none where one does not vary, or the episodes are not pairs."""
    gain: float | None = None
    """How many times the episodes a comparison without pairs needs for the same width of the interval; none where all
    differences are equal, where the episodes are not pairs, and where a number is not valid."""
    all_equal: bool = False
    """Whether all differences are equal."""
    worst_episode: int | None = None
    """Episode, counted from 0, with the worst difference, or with the candidate's worst value where the episodes are
    not pairs; none where the better direction is not known."""
    candidate: float | None = None
    """The candidate's value in it."""
    paired_value: float | None = None
    """The baseline's value in it; none where the episodes are not pairs."""


@frozen(kw_only=True)
class KpiMove(Record):
    """A KPI without a guard whose interval excludes 0."""

    metric: str
    """The KPI's row in the evidence."""
    unit: str
    """Its unit."""
    direction: Direction
    """Which way it improves; none too where that is not known."""
    baseline: str
    """Names of the baselines, all of one policy."""
    difference: float
    """Mean difference, candidate − baseline."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@frozen(kw_only=True)
class Scope(Record):
    """Which episodes were played, and which were not."""

    scenarios: tuple[str, ...]
    """Scenarios that were played."""
    unplayed: tuple[str, ...] = ()
    """Other scenarios that the environment lists."""
    length: str
    """Length of an episode, in words."""
    training_lengths: tuple[str, ...] = ()
    """Each state that fine-tuned in episodes of another length, with that length, in words."""
    actions: str
    """How the policies chose where they were compared: ``greedy`` or ``stochastic``."""
    other_episodes: int = 0
    """Episodes in which the candidate chose in the other way, which is reported and decides nothing."""


@frozen(kw_only=True)
class VisitLimitations(Record):
    """What the evidence behind the verdicts of one visit could not show."""

    judged_in: str
    """State whose guards were evaluated."""
    judged_visit: int
    """Which visit to it."""
    state: str
    """State that gathered the evidence."""
    visit: int
    """Which visit to it."""
    evidence: str
    """Name of the evidence in the schedule."""
    candidate: str
    """Digest of the weights under test."""
    problem: str = ""
    """Why the evidence cannot be read; empty where it can."""
    unpaired: bool = False
    """Whether the episodes are not pairs."""
    episodes: int
    """Episodes that each policy played in each scenario."""
    declared: int
    """Episodes at the last declared look."""
    unseen_rate: float
    """A loss with at most this rate is absent from all these episodes with a chance of 5 % or more."""
    guards: tuple[GuardLimitation, ...]
    """Guards on the evidence, in the order of the schedule."""
    pairs: tuple[PairFacts, ...] = ()
    """KPIs that these guards compare, each with each baseline."""
    unguarded: tuple[str, ...] = ()
    """KPIs that no guard of the state asks for."""
    comparisons: int = 0
    """How many comparisons of these KPIs with a baseline were made: what the error of their intervals is divided by."""
    moves: tuple[KpiMove, ...] = ()
    """Those whose interval excludes 0."""
    not_compared: tuple[str, ...] = ()
    """Those that cannot be compared: too few pairs, exposure on one side only, or numbers that are not valid."""
    invalid: tuple[str, ...] = ()
    """Sentences on numbers of the environment that are not valid."""
    scope: Scope
    """Which episodes were played, and which were not."""


@frozen(kw_only=True)
class RunLimitations(Record):
    """What a run could not see, for each visit whose guards were evaluated on evidence."""

    run: str
    """Run id."""
    environment_problem: str = ""
    """Why the environment could not be asked for directions and scenarios; empty where it could."""
    visits: tuple[VisitLimitations, ...] = attrs.field(factory=tuple)
    """In the order of the journal."""
