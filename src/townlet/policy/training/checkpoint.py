"""Checkpoints: everything a visit needs to continue with the same bits, as one blob, and when one is saved."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import read_tensors, write_tensors
from townlet.dto.codec import CodecError, Record, structure
from townlet.errors import BadInputError, StoppedError, UnfitCheckpointError
from townlet.policy.training.contexts import TrainingContext

__all__ = ["Checkpoint", "VisitCheckpoints", "read_checkpoint", "unfit"]

Metadata = TypeVar("Metadata", bound=Record)

_KEY = "townlet"


@frozen(kw_only=True)
class _Header(Record):
    """The one metadata entry of the file."""

    schema: Literal[1] = 1
    """Version of this layout."""
    strategy: str
    """Strategy of the visit."""
    step: int
    """Iteration, epoch or look after which it was made."""
    points: int
    """Points of the metric stream that the visit had reported."""
    facts: Mapping[str, Any]
    """Metadata of the strategy."""


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """State of a visit between two steps: named arrays and metadata."""

    strategy: str
    """Strategy of the visit."""
    step: int
    """Iteration, epoch or look after which it was made."""
    points: int
    """Points of the metric stream that the visit had reported."""
    facts: Mapping[str, Any]
    """Metadata of the strategy, as plain data without NaN."""
    arrays: Mapping[str, NDArray[Any]]
    """Arrays by name; the part before a dot says what they belong to."""

    def metadata_as(self, cls: type[Metadata]) -> Metadata:
        """Return the metadata as the record they came from; UnfitCheckpointError where they do not fit `cls`."""
        try:
            return structure(self.facts, cls)
        except CodecError as error:
            raise UnfitCheckpointError(f"checkpoint of {self.strategy} after step {self.step}: {error}") from error

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays called ``name.REST`` by their rest."""
        return {k.removeprefix(f"{name}."): v for k, v in self.arrays.items() if k.startswith(f"{name}.")}

    def file(self, name: str) -> bytes:
        """Return a file that was stored as an array of bytes."""
        return self.arrays[name].tobytes()

    def to_bytes(self) -> bytes:
        """Return the safetensors file."""
        header = _Header(strategy=self.strategy, step=self.step, points=self.points, facts=self.facts)
        return write_tensors(self.arrays, _KEY, header.model_dump())


def read_checkpoint(data: bytes, strategy: str, source: str) -> Checkpoint:
    """Return the checkpoint of a safetensors file; BadInputError naming `source` for anything unfit. Never pickle."""
    try:
        metadata, tensors = read_tensors(data, _KEY)
        header = structure(metadata, _Header)
        arrays = {name: values.copy() for name, values in tensors.items()}
    except (CodecError, ValueError) as error:
        raise BadInputError(f"{source}: not a checkpoint that this version reads ({error})") from error
    if header.strategy != strategy:
        raise BadInputError(f"{source}: a checkpoint of {header.strategy}, expected one of {strategy}")
    return Checkpoint(strategy=strategy, step=header.step, points=header.points, facts=header.facts, arrays=arrays)


def unfit(state: str, error: BadInputError) -> UnfitCheckpointError:
    """Return the refusal to go on with a visit, with what there is to do."""
    return UnfitCheckpointError(
        f"{state} cannot go on: {error}; the visit stays open: bring back what is missing, or give the visit up with "
        "`hold`, `resume`, `retry --new`, `resume`"
    )


@frozen(kw_only=True)
class VisitCheckpoints:
    """Loads the checkpoint of a visit and saves the next ones."""

    context: TrainingContext
    """Context of the visit."""
    every: int
    """Number of steps between two checkpoints; 0 saves none."""

    def load(self) -> Checkpoint | None:
        """Return the checkpoint of an earlier process, None where the visit begins; rewind the metric stream to it.

        UnfitCheckpointError where it is missing, damaged or of another version.
        """
        visit = self.context.visit
        checkpoint = None if visit.checkpoint is None else self._read(visit.checkpoint)
        if visit.attempt > 1:
            self.context.telemetry.rewind(0 if checkpoint is None else checkpoint.points)
        return checkpoint

    def _read(self, digest: str) -> Checkpoint:
        visit = self.context.visit
        source = f"checkpoint {digest[:12]} of {visit.state}"
        try:
            return read_checkpoint(self.context.blobs.get(digest), visit.strategy, source)
        except BadInputError as error:
            raise unfit(visit.state, error) from error

    def maybe_save(self, step: int, make: Callable[[], Checkpoint], *, only_due: bool = False) -> bool:
        """Save a checkpoint if `step` is due, and return whether it was. If a stop was requested, raise StoppedError.

        Call it after every step but the last, after which there is nothing to continue. A stop saves one too; with
        `only_due` it waits for the next that is due, because a checkpoint changes how the visit goes on.
        """
        stopping = self.context.visit.stopping()
        due = self.every > 0 and step % self.every == 0
        if self.every and only_due and not due:
            return False
        if due or (stopping and self.every):
            self.save(make())
        if stopping:
            self.stop(f"after step {step}" if self.every else "without a checkpoint")
        return due

    def save(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint and record it in the journal."""
        self.context.visit.save(checkpoint.step, self.context.blobs.put(checkpoint.to_bytes()))

    def stop(self, where: str) -> None:
        """Leave the visit open: raise StoppedError."""
        raise StoppedError(f"{self.context.visit.state} stopped {where}, as it was asked to; resume the run to go on")
