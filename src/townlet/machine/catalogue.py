"""The contract of strategies: what each declares to consume, produce and cost; the machine knows none by name."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from math import prod
from types import MappingProxyType
from typing import Any, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Checked, Problem, Record, did_you_mean
from townlet.dto.policy import EvaluationResult, FineTuningResult, RollbackResult, TrainingResult
from townlet.dto.schedule import EvidenceSpec, Plan
from townlet.dto.strategies import PROBE_ROWS, PromoteSpec, StrategySpec
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription

__all__ = [
    "Cost",
    "CostContext",
    "Input",
    "Product",
    "Ranges",
    "StrategyAvailability",
    "StrategyCatalogue",
    "StrategyEntry",
]

Product = Literal["dataset", "experience", "clone", "candidate", "evidence", "champion"]
"""What a visit may leave to later ones: `dataset` (a teacher's labelled play), `experience` (a policy's recorded play),
`clone` and `candidate` (weights), `evidence` (paired episodes), `champion` (the effect: the alias moves)."""

Ranges = Mapping[str, tuple[float, float]]
"""Least and largest value of fields of a result, by name."""

FLOAT32 = 4
"""Bytes of a number in weights, features and logits."""


@frozen
class Input(Checked):
    """One thing that a visit needs before it can begin."""

    name: str
    """A product, `champion`, or weights by their name under `policies`."""
    option: str = ""
    """Option of the `with:` block that names it; empty where the strategy always needs it."""


@frozen(kw_only=True)
class Cost(Checked):
    """What one visit costs at the most."""

    agent_steps: int = 0
    """Agent-steps that it plays."""
    disk: int = 0
    """Bytes that it leaves behind, roughly."""
    least_agent_steps: int = 0
    """Agent-steps that it plays at the least, unless it fails; `check` refuses a budget that they exceed."""


@frozen(kw_only=True)
class CostContext(Checked):
    """What the cost and the problems of a visit may depend on besides its own options."""

    plan: Plan
    """The whole schedule."""
    state: str
    """The state that is visited."""
    environment: EnvironmentDescription
    """The schedule's environment."""
    suites: Mapping[str, EnvironmentDescription]
    """Further scenarios that evidence names."""
    clones: tuple[str, ...]
    """States that produce a clone."""
    baselines: int
    """Baselines that guards compare this state's measurements with."""
    recordings: Mapping[Product, Mapping[str, Ranges]] = MappingProxyType({})
    """Of `dataset` and `experience`: what the options of each state that records one say of its result."""

    def episode_steps(self, evidence: EvidenceSpec, scenario: str | None = None) -> int:
        """Return the agent-steps of one episode of an evidence, in a scenario of its suite where one is named."""
        environment = self.environment if scenario is None else self.suites.get(scenario, self.environment)
        return environment.episode_length(evidence.days, evidence.max_steps) * environment.agents

    def network_bytes(self, hidden: tuple[int, ...]) -> int:
        """Return the bytes of an actor and a critic with hidden layers of these widths."""

        def trunk(outputs: int) -> int:
            widths = (len(self.environment.features), *hidden, outputs)
            return sum((before + 1) * after for before, after in pairwise(widths))

        return FLOAT32 * (trunk(len(self.environment.actions.outputs)) + trunk(1))

    def clone_widths(self, otherwise: tuple[int, ...]) -> tuple[int, ...]:
        """Return the hidden widths of the largest clone that the schedule makes, `otherwise` where it makes none."""
        options = [attrs.asdict(self.plan.options[state], recurse=False) for state in self.clones]
        return max((each["hidden_sizes"] for each in options if "hidden_sizes" in each), key=prod, default=otherwise)

    def checkpoint_bytes(self, hidden: tuple[int, ...]) -> int:
        """Return the bytes of the networks in a checkpoint: the present, the best, the parent, Adam's two moments."""
        return 5 * self.network_bytes(hidden)

    @property
    def probe_bytes(self) -> int:
        """Bytes of the probe that stands with weights: observation, mask, logits and action of each row."""
        features, spec = len(self.environment.features), self.environment.actions
        return PROBE_ROWS * (FLOAT32 * (features + len(spec.outputs)) + spec.logits)


def _as_they_are(options: Any) -> Any:
    return options


def _no_ranges(options: Any, environment: EnvironmentDescription) -> Ranges:
    return {}


def _no_problems(options: Any, context: CostContext) -> Iterable[Problem]:
    return ()


def _dotted(instance: Any, attribute: Any, value: Any) -> None:
    if not callable(value) and not (isinstance(value, str) and value.partition(":")[2]):
        raise ValueError(f"expected MODULE:CLASS or what makes the strategy, found {value!r}")


@frozen(kw_only=True)
class StrategyEntry(Checked):
    """What a strategy declares; fold, check, forecast, rehearsal and launch ask nothing else about it.

    Construction refuses an entry that contradicts itself (ValueError) or lacks a required part (TypeError).
    """

    name: str
    """The word after ``strategy:``."""
    doc: str
    """One sentence for people: subject and verb."""
    strategy: "str | Callable[[], Any]" = attrs.field(validator=_dotted)
    """``MODULE:CLASS`` of the `TrainingStrategy`, imported when a state first runs it; or what returns one."""
    spec: type[StrategySpec]
    """Class of its ``with:`` block."""
    result: type[TrainingResult]
    """Class of its answers; metric fields are what guards may judge."""
    consumes: Callable[[Any], tuple[Input, ...]]
    """Of a ``with:`` block: what a visit needs. `check` refuses a way to the state on which it does not exist."""
    produces: frozenset[Product]
    """What visits may leave to later ones. Weights of an answer become the `clone` and the `candidate`, blobs called
    `dataset` and `experience` the run's."""
    produces_with: Callable[[Any], frozenset[Product]] | None = None
    """Of a ``with:`` block: what a visit certainly produces; all of `produces` where not given."""
    cost: Callable[[Any, CostContext], Cost]
    """Of a ``with:`` block: agent-steps and disk of one visit at the most."""
    ranges: Callable[[Any, EnvironmentDescription], Ranges] = _no_ranges
    """Of a ``with:`` block and an environment: fields of the answer whose range the options narrow. `check` refuses
    guards that no value in it can pass or fail."""
    problems: Callable[[Any, CostContext], Iterable[Problem]] = _no_problems
    """Of a ``with:`` block: why a visit with these options could do nothing useful, with paths inside the block.
    `check` refuses them; a run that exists is never asked."""
    shrink: Callable[[Any], Any] = _as_they_are
    """Of a ``with:`` block: the one of a rehearsal, which does every kind of work, but little of it."""
    scalable: frozenset[str] | None = None
    """Options that a rollback may scale; every option with decimals where not given."""
    requires_torch: bool = False
    """True where it cannot run without torch."""
    gpu_requires_torch: bool = False
    """True where it cannot run on a GPU without torch; on the processor it can."""
    device_option: str = ""
    """Option that names the device where networks are trained."""
    start_option: str = ""
    """For a strategy that fine-tunes: the option that names the weights of the run's first such visit; later ones go on
    from the candidate. Its visits count as rounds, and what they answer with can be a baseline (`of: STATE`)."""
    evidence_option: str = ""
    """For a strategy that measures the environment's KPIs: the option that names the evidence it gathers."""
    discards: bool = False
    """True where a visit discards the candidate and names weights to go on from."""

    def device(self, options: Any) -> str:
        """Return the device that a ``with:`` block names, the processor where it names none."""
        return str(getattr(options, self.device_option)) if self.device_option else "cpu"

    def needs_torch(self, options: Any) -> bool:
        """Return whether a visit with these options cannot run without torch."""
        return self.requires_torch or (self.gpu_requires_torch and self.device(options) == "cuda")

    def __attrs_post_init__(self) -> None:
        for cls, base in ((self.spec, StrategySpec), (self.result, TrainingResult)):
            if not (isinstance(cls, type) and issubclass(cls, base)):
                raise ValueError(f"expected a class derived from {base.__name__}, found {cls!r}")
        options = attrs.fields_dict(self.spec)
        for role in ("device_option", "start_option", "evidence_option"):
            if (option := getattr(self, role)) and option not in options:
                raise ValueError(f"{role} is {option!r}; expected an option of {self.spec.__name__}")
        for wanted, role, holds in (
            (FineTuningResult, "start_option", self.fine_tunes),
            (EvaluationResult, "evidence_option", self.measures),
            (RollbackResult, "discards", self.discards),
        ):
            if holds and not issubclass(self.result, wanted):
                raise ValueError(f"{role} is given, so its result must be a {wanted.__name__}")
        if self.effect and not issubclass(self.spec, PromoteSpec):
            raise ValueError("it produces a champion, so its spec must be a PromoteSpec")

    @property
    def effect(self) -> bool:
        """Whether its visits change something outside the run: the champion's alias."""
        return "champion" in self.produces

    @property
    def measures(self) -> bool:
        """Whether its visits measure the environment's KPIs."""
        return bool(self.evidence_option)

    @property
    def fine_tunes(self) -> bool:
        """Whether its visits go on from weights and answer with others."""
        return bool(self.start_option)

    def output(self, options: StrategySpec) -> frozenset[Product]:
        """Return what a visit with these options certainly produces."""
        return self.produces if self.produces_with is None else self.produces_with(options)

    def start(self, options: StrategySpec) -> str:
        """Return the name of the weights that the run's first fine-tuning begins with."""
        return str(getattr(options, self.start_option))

    def evidence(self, options: StrategySpec) -> str:
        """Return the name of the evidence that a visit gathers."""
        return str(getattr(options, self.evidence_option))

    @cached_property
    def scalable_options(self) -> frozenset[str]:
        """Options that a rollback may scale."""
        if self.scalable is not None:
            return self.scalable
        decimals = (float, float | None)
        return frozenset(field.name for field in attrs.fields(self.spec) if field.type in decimals)


@frozen(kw_only=True)
class StrategyAvailability(Record):
    """Whether a strategy can run here."""

    name: str
    """The word after ``strategy:``."""
    here: bool
    """Whether it can run in this installation."""
    install: str
    """What to do where it cannot; empty where it can."""
    doc: str
    """One sentence."""


@frozen(kw_only=True)
class StrategyCatalogue(Checked):
    """The strategies a schedule may name."""

    entries: Mapping[str, StrategyEntry]
    """By name."""
    torch_available: bool
    """Whether torch is installed here."""
    refused: Mapping[str, str] = MappingProxyType({})
    """Installed strategies whose declaration cannot be used, by name, with the reason."""

    def entry(self, name: str) -> StrategyEntry:
        """Return the entry of a strategy that a journal names; BadInputError where it is not installed here."""
        if name not in self.entries:
            raise BadInputError(f"{self.problem(name)}; install the package that declares it")
        return self.entries[name]

    def problem(self, name: str) -> str:
        """Return why a schedule cannot name a strategy, in one sentence."""
        if name in self.refused:
            return f"strategy {name!r} cannot be used: {self.refused[name]}"
        return f"unknown strategy {name!r}{did_you_mean(name, sorted(self.entries))}"

    def availability(self) -> tuple[StrategyAvailability, ...]:
        """Return each strategy and whether it can run here."""
        known = (
            StrategyAvailability(
                name=entry.name,
                here=self.torch_available or not entry.requires_torch,
                install="" if self.torch_available or not entry.requires_torch else "pip install 'townlet[torch]'",
                doc=entry.doc,
            )
            for entry in self.entries.values()
        )
        refused = (
            StrategyAvailability(name=name, here=False, install=f"mend its declaration: {why}", doc="")
            for name, why in self.refused.items()
        )
        return (*known, *refused)
