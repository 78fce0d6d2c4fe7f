"""Checkpoints: everything a visit needs to go on with the same bits, as one blob, and when one is kept."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import read_tensors, write_tensors
from townlet.dto.codec import CodecError, Record, structure
from townlet.errors import BadInputError, StoppedError, UnfitCheckpointError
from townlet.policy.training.contexts import TrainingContext

__all__ = ["Checkpoint", "VisitCheckpoints", "read_checkpoint", "unfit"]

Facts = TypeVar("Facts", bound=Record)

_KEY = "townlet"


@frozen(kw_only=True)
class _Header(Record):
    """What a checkpoint says of itself: the one metadata entry."""

    schema: Literal[1] = 1
    """Version of this layout."""
    strategy: str
    """Whose visit it is of."""
    step: int
    """Iteration, epoch or look it stands after."""
    points: int
    """Points of the metric stream that the visit had reported."""
    facts: Mapping[str, Any]
    """What the strategy notes beside its arrays."""


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """A visit between two steps: named arrays, and facts that are no arrays."""

    strategy: str
    """Whose visit it is of."""
    step: int
    """Iteration, epoch or look it stands after."""
    points: int
    """Points of the metric stream that the visit had reported."""
    facts: Mapping[str, Any]
    """What the strategy notes beside its arrays, as plain data without NaN."""
    arrays: Mapping[str, NDArray[Any]]
    """By name; the parts before a dot say what they belong to."""

    def about(self, kind: type[Facts]) -> Facts:
        """Return the facts as the record they came from; UnfitCheckpointError where they are of another kind."""
        try:
            return structure(self.facts, kind)
        except CodecError as error:
            raise UnfitCheckpointError(f"checkpoint of {self.strategy} after step {self.step}: {error}") from error

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays called ``name.REST`` by their rest."""
        return {k.removeprefix(f"{name}."): v for k, v in self.arrays.items() if k.startswith(f"{name}.")}

    def file(self, name: str) -> bytes:
        """Return a file that was kept as an array of bytes."""
        return self.arrays[name].tobytes()

    def to_bytes(self) -> bytes:
        """Return the safetensors file."""
        header = _Header(strategy=self.strategy, step=self.step, points=self.points, facts=self.facts)
        return write_tensors(self.arrays, _KEY, header.model_dump())


def read_checkpoint(data: bytes, strategy: str, source: str) -> Checkpoint:
    """Return the checkpoint of a safetensors file; BadInputError naming `source` for anything unfit. Never pickle."""
    try:
        metadata, found = read_tensors(data, _KEY)
        header = structure(metadata, _Header)
        arrays = {name: values.copy() for name, values in found.items()}
    except (CodecError, ValueError) as error:
        raise BadInputError(f"{source}: not a checkpoint that this version reads ({error})") from error
    if header.strategy != strategy:
        raise BadInputError(f"{source}: a checkpoint of {header.strategy}, expected one of {strategy}")
    return Checkpoint(strategy=strategy, step=header.step, points=header.points, facts=header.facts, arrays=arrays)


def unfit(state: str, error: BadInputError) -> UnfitCheckpointError:
    """Return the refusal to go on with a visit, with what there is to do."""
    return UnfitCheckpointError(
        f"{state} cannot go on: {error}; the visit stays open: bring back what is missing and resume, or give the "
        "visit up with: townlet hold, resume, retry, resume"
    )


@frozen(kw_only=True)
class VisitCheckpoints:
    """Where a visit stands: what it goes on from, and what it leaves for the next process."""

    context: TrainingContext
    """Of the visit."""
    every: int
    """Steps between two checkpoints; 0 keeps none."""

    def opened(self) -> Checkpoint | None:
        """Return what an earlier process left; none where the visit begins. The metric stream is taken back to there.

        UnfitCheckpointError where it is missing, damaged or of another version.
        """
        visit = self.context.visit
        found = None
        if visit.checkpoint is not None:
            found = self._read(visit.checkpoint)
        if visit.attempt > 1:
            self.context.telemetry.rewind(0 if found is None else found.points)
        return found

    def _read(self, digest: str) -> Checkpoint:
        visit = self.context.visit
        source = f"checkpoint {digest[:12]} of {visit.state}"
        try:
            return read_checkpoint(self.context.blobs.get(digest), visit.strategy, source)
        except BadInputError as error:
            raise unfit(visit.state, error) from error

    def turn(self, step: int, take: Callable[[], Checkpoint]) -> None:
        """Keep what `take` returns where it is due after `step`; StoppedError where somebody asked to stop.

        Not for a last step, after which nothing is left to go on with.
        """
        stopping = self.context.visit.stopping()
        if self.every and (stopping or step % self.every == 0):
            self.keep(take())
        if stopping:
            self.stop(f"after step {step}" if self.every else "without a checkpoint")

    def keep(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint and journal it."""
        self.context.visit.save(checkpoint.step, self.context.blobs.put(checkpoint.to_bytes()))

    def stop(self, where: str) -> None:
        """Leave the visit open: raise StoppedError."""
        raise StoppedError(f"{self.context.visit.state} stopped {where}, as it was asked to; resume the run to go on")
