"""replay: a data set from outside is read, checked and summarised; what this version wrote can go on to ppo."""

from collections.abc import Iterator
from time import perf_counter

import numpy as np
from attrs import frozen

from townlet.dto.codec import Problem
from townlet.dto.policy import ReplayResult
from townlet.dto.strategies import ReplaySpec
from townlet.errors import BadInputError
from townlet.machine.catalogue import Cost, CostContext, StrategyEntry
from townlet.policy.training.contexts import TrainingContext
from townlet.rng import seed_sequence

__all__ = ["ENTRIES", "ReplayStrategy"]


def _problems(options: ReplaySpec, context: CostContext) -> Iterator[Problem]:
    """Yield a data set that holds no samples."""
    if options.data.minari is not None:
        yield Problem(("data", "minari"), "a data set of Minari is a source of bc; replay reads a manifest or a sample")


ENTRIES = (
    StrategyEntry(
        name="replay",
        doc="A data set from outside is checked and summarised.",
        strategy=f"{__name__}:ReplayStrategy",
        spec=ReplaySpec,
        result=ReplayResult,
        consumes=lambda options: (),
        produces=frozenset({"experience"}),
        produces_with=lambda options: frozenset({"experience"} if options.train else ()),
        cost=lambda options, context: Cost(),
        problems=_problems,
    ),
)


@frozen
class ReplayStrategy:
    """Summaries of samples and batches, and the baseline metrics of the whole."""

    name: str = "replay"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse a data set that is missing, changed or unfit."""
        spec = context.options_as(ReplaySpec)
        context.services.replay.open(spec.data, streaming=True)

    def run(self, context: TrainingContext) -> ReplayResult:
        """Summarise, and store the recorded play where ppo is to learn from it."""
        started, spec = perf_counter(), context.options_as(ReplaySpec)
        dataset = context.services.replay.open(spec.data, streaming=spec.streaming)
        rng = None
        if spec.shuffle:
            rng = np.random.default_rng(
                seed_sequence(context.visit.seed, "shuffle")
                if spec.seed is None
                else seed_sequence(spec.seed, "shuffle")
            )
        batches = tuple(
            batch.summary(number)
            for number, batch in enumerate(dataset.batches(spec.batch_size, rng=rng, drop_last=spec.drop_last), start=1)
        )
        if not batches:
            raise BadInputError(
                f"{dataset.source}: no full batch of {spec.batch_size} among {len(dataset.entries)} samples; "
                "choose a smaller batch size or keep the last"
            )
        context.telemetry.emit(len(batches), {}, of=len(batches))
        blobs = {}
        if spec.train:
            experience = context.services.replay.trainable(spec.data, context.description)
            blobs["experience"] = context.blobs.put(experience.to_bytes())
        return ReplayResult(
            samples=dataset.summaries(),
            batches=batches,
            baseline=dataset.baseline(),
            dataset=dataset.digest,
            manifest=dataset.source,
            blobs=blobs,
            duration=perf_counter() - started,
        )
