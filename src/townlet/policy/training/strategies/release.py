"""promote and rollback: the champion's alias moves, or the weights to go on from are proven."""

from time import perf_counter

from attrs import frozen

from townlet.dto.policy import PromotionResult, RollbackResult
from townlet.dto.strategies import PromoteSpec, RollbackSpec
from townlet.errors import HoldError
from townlet.machine.catalogue import Cost, Input, StrategyEntry
from townlet.policy.training.contexts import TrainingContext

__all__ = ["ENTRIES", "PromoteStrategy", "RollbackStrategy"]

ENTRIES = (
    StrategyEntry(
        name="promote",
        doc="The champion's alias moves to the candidate.",
        strategy=f"{__name__}:PromoteStrategy",
        spec=PromoteSpec,
        result=PromotionResult,
        consumes=lambda options: (Input("candidate"),),
        produces=frozenset({"champion"}),
        cost=lambda options, context: Cost(),
    ),
    StrategyEntry(
        name="rollback",
        doc="The candidate is discarded; the weights to go on from are proven.",
        strategy=f"{__name__}:RollbackStrategy",
        spec=RollbackSpec,
        result=RollbackResult,
        consumes=lambda options: (),
        produces=frozenset({"candidate"}),
        cost=lambda options, context: Cost(),
        discards=True,
    ),
)


@frozen
class PromoteStrategy:
    """The only effect: one alias moves by compare-and-set, journalled before and after."""

    name: str = "promote"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse a candidate that is missing or does not act as it did when it was stored."""
        context.weights(context.input("candidate"))

    def run(self, context: TrainingContext) -> PromotionResult:
        """Move the alias."""
        started, candidate = perf_counter(), context.input("candidate")
        done = context.visit.effect(candidate)
        return PromotionResult(
            weights=candidate,
            alias=done.alias,
            version=done.version,
            previous=context.visit.expected_champion,
            duration=perf_counter() - started,
        )


@frozen
class RollbackStrategy:
    """Discards the candidate; never moves an alias."""

    name: str = "rollback"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Hold where there is nothing to go back to."""
        _target(context)

    def run(self, context: TrainingContext) -> RollbackResult:
        """Name the weights to go on from and prove them: digest, and the actions stored with them."""
        started, spec = perf_counter(), context.options_as(RollbackSpec)
        name, digest = _target(context)
        weights = context.weights(digest)
        scale = dict(context.visit.scale)
        for factor, value in spec.scale.items():
            scale[factor] = scale.get(factor, 1.0) * value
        discarded = context.inputs.get("candidate")
        return RollbackResult(
            weights=digest,
            discarded=discarded,
            target=name,
            parity=weights.verify(),
            scale=scale,
            duration=perf_counter() - started,
        )


def _target(context: TrainingContext) -> tuple[str, str]:
    names = (
        ("champion",) if context.options_as(RollbackSpec).target == "champion" else ("accepted", "clone", "champion")
    )
    for name in names:
        if name in context.inputs:
            return name, context.inputs[name]
    raise HoldError(f"nothing to roll back to: this run has no {' or '.join(names)} weights yet")
