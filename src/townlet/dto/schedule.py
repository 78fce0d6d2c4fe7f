"""The schedule: everything the engine may do, as data."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.conditions import When
from townlet.dto.constraints import Growing, Limits, Shares, Text, check_presence
from townlet.dto.guards import GuardSpec
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.policy_ref import NO_TEACHER
from townlet.dto.quantities import Bytes, Duration, Percent
from townlet.dto.strategies import DataSpec, StrategySpec, count

__all__ = [
    "BUILT_IN_STATES",
    "ApprovalSpec",
    "BaselineSpec",
    "BudgetSpec",
    "ControlSpec",
    "EdgeSpec",
    "EnvironmentSpec",
    "EvidenceSpec",
    "Plan",
    "PolicySpec",
    "RegistrySpec",
    "RetrySpec",
    "ScheduleSpec",
    "StateSpec",
]

BUILT_IN_STATES = ("done", "hold", "failed", "aborted")
"""States that every machine has; a schedule names them but does not declare them."""


_name = Text(
    pattern=r"(?!\.)[A-Za-z0-9._-]{1,64}",
    words="a name of letters, digits, '-', '_' and '.', at most 64 long, that does not begin with '.'",
)
_seed = Limits(least=0, below=2**63, words="a seed between 0 and 2**63 - 1")
_count = Limits(least=1, words="more than 0")
_workers = Limits(least=0, most=1024, words="0 to 1,024 processes")
_ascending = Growing(words="growing numbers of episodes")
_shares = Shares(words="shares of the error above 0% that add up to at most 100%")
_pairs = Limits(least=20, words="at least 20 episodes")
_coefficient = Limits(least=-1e6, most=1e6, words="a number from -1e6 to 1e6")
_confidence = Limits(above=0.5, below=1, words="a confidence between 50% and 100%")


@frozen(kw_only=True)
class BudgetSpec(Record):
    """Bounds of the whole run; beyond any of them it holds. Wall clock never chooses an edge."""

    wall_clock: Duration | None = None
    """Seconds since the run was created, without the time that it was held, stopped on purpose or failed."""
    agent_steps: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Agent-steps of all visits together."""
    disk: Bytes | None = None
    """Bytes below the home directory; the run also holds where the file system has no room for them."""


@frozen(kw_only=True)
class EnvironmentSpec(Record):
    """Where the policies live."""

    id: str
    """Provider registered under the entry-point group ``townlet.environments``; after a colon, one of its family."""
    scenario: str = "default"
    """Preset within it."""
    with_: Mapping[str, Any] = attrs.field(factory=dict)
    """Keyword arguments with which the environment is made, as plain data."""
    worlds: int = count(64)
    """W, worlds that train side by side."""
    workers: int = attrs.field(default=0, validator=_workers)
    """Processes that step the worlds, 0 for this one; the numbers are the same for every count."""
    step_timeout: Duration | None = None
    """Time after which a worker that does not answer a decision is stopped; none: it is waited for."""
    max_steps: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Decisions after which every episode is cut; the environment's own limit where not given."""
    metrics: Mapping[str, InfoMetricSpec] = attrs.field(factory=dict)
    """KPIs from the infos of the environment, by name, beside its own."""


@frozen(kw_only=True)
class RegistrySpec(Record):
    """Which alias the run is about."""

    name: str = attrs.field(validator=_name)
    """Line of policies the versions are counted in."""
    champion: str = attrs.field(default="champion", validator=_name)
    """Alias of the policy in force."""
    scope: Literal["home", "run"] = "home"
    """`run`: a registry inside the run directory, for tutorials."""
    signers: str | None = None
    """File of OpenSSH public keys (Ed25519), beside the schedule; one of them must sign each promotion."""


Spending = Literal["obrien_fleming", "pocock", "bonferroni"]
"""How an error is divided over looks; `confidence.spending` has the same words, and imports scipy."""


@frozen(kw_only=True)
class ControlSpec(Record):
    """A control variate: what the seed explains of a pair is taken out of it.

    Further episodes tell how far those of the pairs were off the mean of what explains them, and `coefficient` of that
    is subtracted from the candidate's mean difference.
    """

    episodes: int = attrs.field(validator=_pairs)
    """Further episodes: each baseline plays them alone, before the candidate plays any; for a `covariate` they are only
    begun."""
    coefficient: float = attrs.field(validator=_coefficient)
    """β, frozen before the run: cov(d, c) ÷ var(c) · M ÷ (M + n) of earlier evidence is best, c what explains; for the
    baseline's own value near −1 where pairs do not correlate, 0 where they differ by a constant."""
    covariate: str | None = None
    """What explains: a feature in the first observation, the mean over the agents; none: the baseline's own value."""


@frozen(kw_only=True)
class EvidenceSpec(Record):
    """How a candidate is compared with a baseline."""

    episodes: tuple[int, ...] = attrs.field(validator=_ascending)
    """Pairs at each pre-declared look."""
    days: int = count(14)
    """Length of an episode in days, of an environment that has days."""
    max_steps: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """The most decisions of an episode; takes the place of days."""
    confidence: Percent = attrs.field(validator=_confidence)
    """1 − the chance, over the whole run, that an equal policy passes."""
    spending: Spending = "obrien_fleming"
    """How the error of a visit is divided over its looks: `obrien_fleming` keeps nearly all of it for the last look,
    `pocock` divides it nearly equally, `bonferroni` equally and without regard to what the looks share."""
    visits: tuple[Percent, ...] = attrs.field(default=(), validator=_shares)
    """Shares of the error that the first, the second, … visit may use; equal shares where not given."""
    seeds: Literal["fresh", "fixed"] = "fresh"
    """`fresh`: keyed by run seed, visit and candidate; `fixed`: the same episodes at every visit."""
    actions: Literal["greedy", "stochastic"] = "greedy"
    """How the policies choose in the episodes that are judged."""
    scenarios: tuple[str, ...] = ()
    """A suite of scenarios; empty means the schedule's own."""
    control: ControlSpec | None = None
    """A control variate that makes the same episodes tell more; none by default."""


@frozen(kw_only=True)
class BaselineSpec(Record):
    """What a candidate is compared with, pinned at the start of each visit."""

    alias: str | None = None
    """Alias in the registry."""
    of: str | None = None
    """A state whose visits bring weights; the baseline is called `parent` or `accepted`."""
    policy: str | None = None
    """`teacher`, or a name under `policies`."""
    data: DataSpec | None = None
    """A data set of Minari: the returns of its episodes are compared with, unpaired."""
    otherwise: str | None = None
    """Baseline used where this one does not exist yet: another baseline's name, or `teacher`."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("alias", "of", "policy", "data")

    def __attrs_post_init__(self) -> None:
        check_presence(self)


@frozen(kw_only=True)
class PolicySpec(Record):
    """Weights from outside."""

    file: str | None = None
    """Path of a safetensors file, relative to the schedule; none: the home has the weights, as of each version."""
    sha256: str
    """Hex digest of the weights."""


@frozen(kw_only=True)
class RetrySpec(Record):
    """What to do when the environment or the file system fails."""

    attempts: int = count(1)
    """Attempts altogether, with the same seeds."""


@frozen(kw_only=True)
class ApprovalSpec(Record):
    """A person must agree before the edge is taken; the run holds until then."""

    expires: Duration
    """How long the question stands; without an answer the run is aborted."""


@frozen(kw_only=True)
class EdgeSpec(Record):
    """A way out of a state."""

    to: str
    """State the edge leads to."""
    when: tuple[When, ...] = ()
    """Guards that must all hold; guard names, ``{any: […]}`` and ``{not: x}``. None: always."""
    why: str = ""
    """Sentence for the journal."""
    approval: ApprovalSpec | None = None
    """Ask a person first; only on an edge to a state that changes the registry."""


@frozen(kw_only=True)
class StateSpec(Record):
    """A node of the machine."""

    strategy: str
    """Name of the strategy each visit runs."""
    with_: Mapping[str, Any] = attrs.field(factory=dict)
    """The strategy's spec as plain data; `options` holds it structured."""
    retry: RetrySpec = RetrySpec()
    """For environment and I/O errors only."""
    next: tuple[EdgeSpec, ...]
    """Tried in order; the last has no `when`."""


@frozen(kw_only=True)
class ScheduleSpec(Record):
    """One finite-state machine and everything it needs."""

    schedule: Literal["townlet/v1"]
    """Version of this format; others are refused."""
    name: str = attrs.field(validator=_name)
    """Name of the schedule, part of each run's id."""
    seed: int = attrs.field(validator=_seed)
    """The only entropy of a run; every other seed is derived from it."""
    budget: BudgetSpec = BudgetSpec()
    """Bounds of the run."""
    environment: EnvironmentSpec
    """Where the policies live."""
    teacher: str = NO_TEACHER
    """Who is cloned: one of the environment's teachers, where one is (`MODULE:NAME`), or `none`."""
    registry: RegistrySpec
    """Which alias the run is about."""
    evidence: Mapping[str, EvidenceSpec] = attrs.field(factory=dict)
    """How candidates are compared with baselines, by name."""
    baselines: Mapping[str, BaselineSpec] = attrs.field(factory=dict)
    """What candidates are compared with, by name."""
    policies: Mapping[str, PolicySpec] = attrs.field(factory=dict)
    """Weights from outside, by name."""
    guards: Mapping[str, GuardSpec] = attrs.field(factory=dict)
    """Questions that edges ask, by name."""
    trackers: Mapping[str, Mapping[str, str]] | None = None
    """Where the run's numbers go beside its own files: options by tracker, such as ``tensorboard: {}``."""
    initial: str
    """State that a run begins in."""
    states: Mapping[str, StateSpec]
    """The nodes, by name."""


@frozen(kw_only=True)
class Plan:
    """A schedule that was found sound, with every state's spec structured by its strategy."""

    schedule: ScheduleSpec
    """As written."""
    options: Mapping[str, StrategySpec]
    """The structured `with:` block of each state."""
    most_visits: Mapping[str, int]
    """The most visits the counters allow, per state."""
    gathers: Mapping[str, str]
    """The evidence that visits to a state gather, for the states that measure."""
