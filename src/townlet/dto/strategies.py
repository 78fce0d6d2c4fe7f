"""What each strategy can be asked for: the `with:` block of a state."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Checked, Record
from townlet.dto.constraints import Items, Limits, Widths, check_presence
from townlet.dto.constraints import Points as RampPoints
from townlet.dto.quantities import Percent

__all__ = [
    "IGNORED",
    "PROBE_ROWS",
    "REFERENCE",
    "BCSpec",
    "CaptureSpec",
    "DataSpec",
    "Device",
    "EvaluateSpec",
    "Ignored",
    "PPOSpec",
    "PromoteSpec",
    "RampSpec",
    "Reference",
    "ReplaySpec",
    "RollbackSpec",
    "StrategySpec",
    "WatchSpec",
]

Points = tuple[tuple[float, float], ...]
Device = Literal["auto", "cpu", "cuda"]

REFERENCE = "reference"
"""Metadata key: a `Reference`, for an option that names something else of the schedule."""

IGNORED = "ignored"
"""Metadata key: an `Ignored`, for an option without effect under another one."""

PROBE_ROWS = 256
"""Observations that the weights a visit answers with are proven on."""


@frozen
class Reference(Checked):
    """What an option names; `check` proves that it exists."""

    to: Literal["weights", "evidence", "options"]
    """`weights`: clone, candidate, champion, or a name under `policies`; `evidence`: a name under `evidence`;
    `options`: the keys are ``STATE.OPTION``, each a number that may be scaled."""
    also: tuple[str, ...] = ()
    """Further words with a meaning of their own."""


@frozen
class Ignored:
    """When an option has no effect; `check` refuses to read it then."""

    option: str
    """The other option that decides it."""
    holds: Callable[[Any], bool]
    """Of the other option's value: whether this one is ignored."""
    reason: str
    """Phrase that says why, and what to do."""


def replaced_by(option: str) -> Ignored:
    """Return that an option has no effect where another one is given."""
    return Ignored(option, lambda value: value is not None, f"{option} takes its place; leave one of them out")


def only_with(option: str, *values: Any) -> Ignored:
    """Return that an option has an effect only where another one has one of these values."""
    words = " or ".join(repr(value).strip("'").lower() for value in values)
    return Ignored(option, lambda value: value not in values, f"it needs {option}: {words}; leave it out")


_positive = Limits(above=0, words="more than 0")
_count = Limits(least=1, words="more than 0")
_not_negative = Limits(least=0, words="at least 0")
_fraction = Limits(least=0, most=1, words="a number between 0 and 1")
_widths = Widths(most=4, low=8, high=1024, words="one to four layer widths between 8 and 1024")
_points, _shares = RampPoints(), RampPoints(most=1)


def count(default: Any = attrs.NOTHING, ignored: Ignored | None = None) -> Any:
    """Return a field for a whole number of at least 1."""
    return attrs.field(default=default, validator=_count, metadata={IGNORED: ignored})


def widths(default: tuple[int, ...], ignored: Ignored | None = None) -> Any:
    """Return a field for the widths of hidden layers."""
    return attrs.field(default=default, validator=_widths, metadata={IGNORED: ignored})


def switch(ignored: Ignored) -> Any:
    """Return a field that is false by default and has no effect under another option."""
    return attrs.field(default=False, metadata={IGNORED: ignored})


def positive(default: Any = attrs.NOTHING) -> Any:
    """Return a field for a number above 0."""
    return attrs.field(default=default, validator=_positive)


def not_negative(default: Any = attrs.NOTHING) -> Any:
    """Return a field for a number of at least 0."""
    return attrs.field(default=default, validator=_not_negative)


def reference(to: Literal["weights", "evidence", "options"], default: Any = attrs.NOTHING, *also: str) -> Any:
    """Return a field that names something else of the schedule; `also` are words with a meaning of their own."""
    return attrs.field(default=default, metadata={REFERENCE: Reference(to, also)})


def fraction(default: Any = attrs.NOTHING, ignored: Ignored | None = None) -> Any:
    """Return a field for a number between 0 and 1."""
    return attrs.field(default=default, validator=_fraction, metadata={IGNORED: ignored})


@frozen(kw_only=True)
class StrategySpec(Record):
    """Base of every `with:` block."""


@frozen(kw_only=True)
class DataSpec(Record):
    """A data set from outside: a manifest, one sample, or a data set of Minari."""

    manifest: str | None = None
    """Path of a manifest of samples, JSON or YAML; relative to the working directory."""
    sample: str | None = None
    """Path of one sample, an NPZ file."""
    meta: str | None = None
    """Path of its JSON; the same stem where not given."""
    minari: str | None = None
    """Id of a local data set of Minari, such as ``cartpole/expert-v0``; a source of bc, and a baseline."""
    sha256: str
    """Digest over everything the data set names; another one is refused."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("manifest", "sample", "minari")
    NEEDS: ClassVar[Mapping[str, str]] = {"meta": "sample"}

    def __attrs_post_init__(self) -> None:
        check_presence(self)


@frozen(kw_only=True)
class CaptureSpec(StrategySpec):
    """The teacher (or, for a rollout, a policy) plays and is recorded."""

    episodes: int = count(256)
    """Episodes (one per world) to record."""
    days: int = count(3, ignored=replaced_by("ticks"))
    """Length of an episode in days."""
    perturbed: Percent = fraction(Percent(0.08), ignored=only_with("player", "teacher"))
    """Share of decisions at which a random legal action is played while the teacher's own is the label."""
    ticks: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Length of an episode in simulated ticks, rounded up to whole decisions; takes the place of days."""
    max_steps: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """The most decisions of an episode; takes the place of days."""
    player: str = reference("weights", "teacher", "teacher", "fresh")
    """Who plays: `teacher`, or weights that act stochastically and go on to ppo: `fresh`, `clone`, `champion`,
    `candidate` or a name under `policies`. Policies are never perturbed."""
    hidden_sizes: tuple[int, ...] = widths((64, 64), ignored=only_with("player", "fresh"))
    """Widths of the hidden layers of a `fresh` player."""


@frozen(kw_only=True)
class BCSpec(StrategySpec):
    """Behaviour cloning of the captured teacher."""

    data: DataSpec | None = None
    """Demonstrations from outside, instead of what the run captured."""
    update_epochs: int = count(10)
    """Passes over the training episodes at the most."""
    learning_rate: float = positive(1.0e-3)
    """Adam's step size."""
    minibatch_size: int = count(4096)
    """Samples per update."""
    label_smoothing: float = fraction(0.05)
    """Probability mass spread over the legal actions."""
    heldout: Percent = fraction(Percent(0.10))
    """Share of episodes kept out of training, never of shuffled steps."""
    patience: int = count(2)
    """Epochs without a better held-out NLL before stopping early."""
    value_epochs: int = not_negative(3)
    """Passes that fit the value head to the captured returns; 0 leaves the critic cold."""
    gamma: float | None = attrs.field(default=None, validator=attrs.validators.optional(_fraction))
    """Discount per decision of the value targets; the environment's own where not given."""
    hidden_sizes: tuple[int, ...] = widths((64, 64))
    """Widths of the hidden layers, the same in the actor's trunk and the critic's."""
    max_grad_norm: float = positive(0.5)
    """Bound on the global norm of the gradient."""
    checkpoint_every: int = not_negative(1)
    """Passes between two checkpoints; 0 keeps none, and a visit that was cut off begins again."""
    device: Device = "cpu"
    """Where the network is trained: `cpu`, `cuda`, or `auto` (a GPU where torch sees one)."""


@frozen(kw_only=True)
class RampSpec(Record):
    """Factors over the agent-steps of a ppo visit: linear between points, flat outside."""

    actor: Points = attrs.field(default=((0.0, 1.0),), validator=_points)
    """Factor of the actor's learning rate."""
    critic: Points = attrs.field(default=((0.0, 1.0),), validator=_points)
    """Factor of the critic's learning rate."""
    anchor_kl: Points = attrs.field(default=((0.0, 0.0),), validator=_points)
    """Weight of KL(parent ‖ policy)."""
    bc_weight: Points = attrs.field(default=((0.0, 0.0),), validator=_points)
    """Weight of the cross-entropy on demonstrations (DAPG): the captured ones, and what the teacher plays."""
    teacher_share: Points = attrs.field(default=((0.0, 0.0),), validator=_shares)
    """Share of the worlds that the teacher drives; their decisions train the critic and the demonstration loss only."""


@frozen(kw_only=True)
class WatchSpec(Record):
    """The cliff watch: a cheap paired evaluation during ppo."""

    every: int = count()
    """Agent-steps between two looks."""
    evidence: str = reference("evidence")
    """Name of the evidence to gather at each look."""
    against: Literal["parent"] = "parent"
    """Baseline: the weights that the visit started from."""


@frozen(kw_only=True)
class PPOSpec(StrategySpec):
    """Fine-tuning by proximal policy optimisation (Schulman et al. 2017)."""

    start_from: str = reference("weights", "clone", "fresh")
    """Weights of round 1: `clone`, `champion`, `candidate`, `fresh`, or a name under `policies`."""
    agent_steps: int = count(2_000_000, ignored=replaced_by("iterations"))
    """Samples to gather; the last iteration is the first that reaches it."""
    iterations: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Rollouts and updates to make; takes the place of agent_steps."""
    experience: Literal["own", "recorded_first", "recorded"] = "own"
    """What is learned from: its own rollouts; the play that a capture or replay state recorded in the first iteration
    and its own afterwards; or that recorded play in every iteration."""
    num_steps: int = count(48, ignored=only_with("experience", "own", "recorded_first"))
    """Decisions per world and iteration."""
    days: int = count(14, ignored=only_with("experience", "own", "recorded_first"))
    """Length of training episodes in days, of an environment that has days."""
    max_steps: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """The most decisions of a training episode; takes the place of days."""
    learning_rate: float = positive(1.0e-3)
    """Adam's step size, of actor and critic; ramps hold factors of it."""
    gamma: float | None = attrs.field(default=None, validator=attrs.validators.optional(_fraction))
    """Discount per decision; the environment's own where not given."""
    gae_lambda: float = fraction(0.95)
    """Decay of generalised advantage estimation."""
    clip_coef: float = positive(0.2)
    """Clip range of the probability ratio."""
    ent_coef: float = not_negative(0.01)
    """Weight of the entropy bonus."""
    vf_coef: float = positive(0.5)
    """Weight of the value loss."""
    max_grad_norm: float = positive(0.5)
    """Bound on the global norm of the gradient."""
    update_epochs: int = count(2)
    """Passes over the samples of an iteration."""
    minibatch_size: int = count(4096, ignored=replaced_by("num_minibatches"))
    """Samples per update."""
    num_minibatches: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Updates per pass; takes the place of minibatch_size."""
    norm_adv: bool = True
    """Whether advantages are normalised per minibatch."""
    vf_clip_coef: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    """Range the value may move in within an iteration, in units of the value normaliser; none by default."""
    target_kl: float = positive(0.03)
    """Approximate KL above which the passes of an iteration stop."""
    hidden_sizes: tuple[int, ...] = widths((64, 64), ignored=only_with("start_from", "fresh"))
    """Widths of the hidden layers of a `fresh` start; other starts bring their own."""
    watch: WatchSpec | None = None
    """The cliff watch; none by default."""
    checkpoint_every: int = not_negative(10)
    """Iterations between two checkpoints; 0 keeps none, and a visit that was cut off begins again."""
    device: Device = "cpu"
    """Where updates are computed: `cpu`, `cuda`, or `auto` (a GPU where torch sees one); acting stays on the CPU."""
    block_rows: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    """Rows that pass through the network together on the CPU; measured and kept for each machine where not given.
    Another number gives other last bits."""
    bf16: bool = switch(only_with("device", "cuda", "auto"))
    """Compute forward passes in bfloat16 on a GPU; nothing changes on the CPU."""
    compiled: bool = switch(only_with("device", "cuda", "auto"))
    """Compile the networks with CUDA graphs on a GPU (``torch.compile``, ``reduce-overhead``); never on the CPU."""
    ramps: tuple[RampSpec, ...] = attrs.field(
        default=(RampSpec(),), validator=Items(least=1, words="at least one ramp")
    )
    """Entry k serves the k-th consecutive ppo visit since the weights were last set; the last repeats."""


@frozen(kw_only=True)
class ReplaySpec(StrategySpec):
    """A data set from outside is read, checked and summarised."""

    data: DataSpec
    """The data set."""
    batch_size: int = count(1)
    """B, samples per batch."""
    shuffle: bool = False
    """Shuffle the samples within each group of equal shapes."""
    seed: int | None = attrs.field(default=None, metadata={IGNORED: only_with("shuffle", True)})
    """Of the shuffling; the visit's own where not given."""
    drop_last: bool = False
    """Leave out batches that are not full."""
    streaming: bool = False
    """Read one batch at a time instead of the whole data set."""
    train: bool = False
    """Also prepare the accepted samples for ppo; they must be ones that this version wrote."""


@frozen(kw_only=True)
class EvaluateSpec(StrategySpec):
    """Paired episodes of the candidate and the baselines on fresh seeds."""

    evidence: str = reference("evidence", "full")
    """Name of the evidence to gather."""
    candidate: str = reference("weights", "candidate")
    """Policy under test: `candidate`, `clone`, `champion`, or a name under `policies`."""


@frozen(kw_only=True)
class PromoteSpec(StrategySpec):
    """Move the champion's alias to the candidate, by compare-and-set."""

    unproven: bool = False
    """True allows a promote edge without an evidence guard."""


@frozen(kw_only=True)
class RollbackSpec(StrategySpec):
    """Discard the candidate and name the weights to go on from."""

    target: Literal["accepted", "champion"] = "accepted"
    """`accepted` (the last accepted weights, in round 1 the clone) or `champion`."""
    scale: Mapping[str, float] = reference("options", attrs.Factory(dict))
    """Factors such as ``ppo.learning_rate: 0.5`` for every later visit of that state, cumulative."""
