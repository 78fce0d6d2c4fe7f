"""The record of a check of an environment: each promise, and whether it is kept."""

from typing import Literal

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["PROMISES", "EnvironmentReport", "PromiseReport"]

PROMISES = {
    "shapes": "every array has the shape and dtype that the description declares",
    "finite": "observations and rewards are finite numbers",
    "masks": "every living agent has a legal action",
    "keys": "each world has a fresh key at every decision of every episode",
    "length": "an episode is over after max_steps decisions, earlier only where lives end by themselves",
    "tallies": "tallies are [M, W], finite, with exposures of 0 or more",
    "return": "the first metric is the return: its sum is the sum of the rewards",
    "pure": "reset and step depend on the seed and the actions only",
    "batches": "world i of a seed plays the same episodes in every batch",
    "seeds": "another seed gives other episodes",
    "resets": "a world that ended stays so until reset is called for it",
    "snapshot": "restore continues a snapshot with the same bits",
    "refusals": "bad actions raise BadInputError and change nothing",
    "teachers": "every teacher plays legal actions, which depend on what it sees and on the keys only",
}
"""Each promise of an environment in words."""


_SEEDED = ("pure", "batches")
"""The promises without which two policies cannot play the same episodes."""
_UNSEEDED = "evidence is unpaired (Welch), resumable: none, a visit that was cut off does not end with the same bits"


@frozen(kw_only=True)
class PromiseReport(Record):
    """Result of the check of one promise of an environment."""

    promise: str
    """Name of the promise, such as ``batches``."""
    outcome: Literal["kept", "broken", "not offered", "untested"]
    """Whether it is kept; an environment may leave out what is not offered, untested is what could not be checked."""
    required: bool
    """Whether a run refuses an environment that breaks it; every other break is only named."""
    where: str = ""
    """Episode, decision, world or field at which it is broken; empty where it is kept."""
    found: str = ""
    """What was found there."""
    expected: str = ""
    """What the promise says."""

    @property
    def sentence(self) -> str:
        """Return the result in one sentence."""
        if self.outcome == "kept":
            return f"{self.promise}: kept"
        return f"{self.promise} ({self.outcome}): {self.where}: found {self.found}; expected {self.expected}"


@frozen(kw_only=True)
class EnvironmentReport(Record):
    """Results of the check of one scenario of an environment."""

    environment: str
    """Id of the environment."""
    scenario: str
    """Scenario that was checked."""
    signature: str
    """Signature of the environment."""
    promises: tuple[PromiseReport, ...]
    """One for each promise."""
    decisions: int
    """Decisions of a batch of worlds that were played to check them."""

    @property
    def summary(self) -> str:
        """Return what was checked, and how much of it is kept, in one line."""
        kept = sum(promise.outcome == "kept" for promise in self.promises)
        return (
            f"environment {self.environment}/{self.scenario}: keeps {kept} of {len(self.promises)} promises, "
            f"checked in {self.decisions} decisions"
        )

    @property
    def obeys_seed(self) -> bool:
        """Whether equal seeds and actions give equal episodes: paired evidence and an exact resume rest on it."""
        return not any(each.promise in _SEEDED and each.outcome == "broken" for each in self.promises)

    @property
    def reservation_sentences(self) -> tuple[str, ...]:
        """Return each reservation in a sentence that names the environment; what follows from a lost seed first."""
        where = f"environment {self.environment}/{self.scenario}"
        lost = () if self.obeys_seed else (f"{where} does not obey its seed: {_UNSEEDED}",)
        return (*lost, *(f"{where}: {promise.sentence}" for promise in self.reservations))

    @property
    def refusals(self) -> tuple[PromiseReport, ...]:
        """Broken promises for which a run refuses the environment."""
        return tuple(each for each in self.promises if each.outcome == "broken" and each.required)

    @property
    def reservations(self) -> tuple[PromiseReport, ...]:
        """What is not kept or untested, and is named in every report.

        A snapshot that is not offered takes nothing from a run: a checkpoint is then the end of all episodes.
        """
        left = tuple(each for each in self.promises if each.outcome not in ("kept", "not offered"))
        return tuple(each for each in left if each not in self.refusals)
