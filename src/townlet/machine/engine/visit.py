"""One execution of a state's strategy, as the engine hands it out."""

from collections.abc import Callable, Mapping
from typing import NoReturn

from attrs import frozen

from townlet.dto.guards import EvidenceTable
from townlet.dto.journal import EffectDone
from townlet.dto.policy import TrainingResult
from townlet.dto.strategies import StrategySpec
from townlet.errors import StrategyFailedError

__all__ = ["RunVisit", "Visit", "never"]


def never() -> bool:
    """Return that nobody asked the process to stop."""
    return False


@frozen(kw_only=True)
class Visit:
    """Everything the engine knows that a strategy may need."""

    state: str
    """Where."""
    strategy: str
    """Name of the strategy."""
    number: int
    """The n-th visit to this state in the run, from 1."""
    attempt: int
    """The n-th start of this visit, from 1."""
    ramp_index: int
    """The n-th consecutive ppo visit since the weights were last set by `start_from` or rollback, from 0 (picks the
    ramp); 0 for other strategies."""
    spec: StrategySpec
    """The `with:` block with every rollback's factors applied."""
    scale: Mapping[str, float]
    """Factors of earlier rollbacks, cumulative, such as ``ppo.learning_rate: 0.25``."""
    seed: int
    """Derived from (run seed, state, visit); every stream of the visit derives from it."""
    inputs: Mapping[str, str]
    """Digests by name, as far as they exist: `dataset`, `experience` (a policy's recorded play), `clone`, `candidate`,
    `champion`, `accepted`, `start` (where this ppo visit begins; absent for a fresh start), `evidence` (of the last
    evaluate visit), and every name under `policies`."""
    baseline_digests: Mapping[str, str]
    """What each baseline's name stands for during this visit: a weights digest, or ``teacher:NAME``; absent where the
    baseline does not exist."""
    expected_champion: str | None
    """Weights digest the champion's alias named when the visit began."""
    evaluate_visits: int
    """The most evaluate visits the counters allow, all evaluate states together; divides the error."""
    checkpoint: str | None
    """Digest of the last checkpoint of this visit, to go on from."""
    save: Callable[[int, str], None]
    """`save(step, digest)` appends a checkpoint record naming a stored blob."""
    decided: Callable[[EvidenceTable], bool]
    """Whether every evidence guard of this state is decided by what the table holds so far (by the judge itself)."""
    effect: Callable[[str], EffectDone]
    """`effect(target)` journals the intent, moves the champion's alias to `target` by compare-and-set against
    `expected_champion`, journals that it is done; ChampionMovedError where the race is lost. Only for promote."""
    stopping: Callable[[], bool] = never
    """Whether somebody asked the process to stop. A long strategy asks it at every point it could go on from, and where
    it is true saves a checkpoint and raises StoppedError."""

    @classmethod
    def outermost(cls, seed: int) -> "Visit":
        """Return the visit that a walk as a whole is, before any state is entered; it saves and effects nothing."""

        def refuse(*_: object) -> NoReturn:
            raise StrategyFailedError("only the visit to a state can be saved, judged or have an effect")

        return cls(
            state="anneal",
            strategy="anneal",
            number=1,
            attempt=1,
            ramp_index=0,
            spec=StrategySpec(),
            scale={},
            seed=seed,
            inputs={},
            baseline_digests={},
            expected_champion=None,
            evaluate_visits=1,
            checkpoint=None,
            save=refuse,
            decided=refuse,
            effect=refuse,
        )


RunVisit = Callable[[Visit], TrainingResult]
"""Runs the strategy of a visit: StoppedError and ResourceFaultError leave it open for the next process,
EnvironmentFaultError and OSError are retried, HoldError holds, anything else fails."""
