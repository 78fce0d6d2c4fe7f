"""Services that strategies use: recording play and reading it back. Pure Python and numpy, torch-free."""

from collections.abc import Callable

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.errors import BadInputError
from townlet.keyed import mix, uniform
from townlet.policy.dataset import Dataset, DatasetFacts, read_dataset
from townlet.policy.inference import sample
from townlet.ports import Environment, Tallies, Teacher
from townlet.store.blobs import BlobStore

__all__ = ["Recording", "ReplayDatasetService", "RolloutCaptureService", "TrainingServices"]

_WHEN, _WHICH = 0xCA, 0xCB
"""Streams of the perturbation: whether to perturb, and with which action."""


@frozen(kw_only=True, eq=False)
class Recording:
    """One captured batch of episodes."""

    dataset: Dataset
    """What was seen, labelled and earned."""
    tallies: Tallies
    """KPI sums of the recorded play."""
    perturbed: int
    """Decisions of living agents at which another action than the label was played."""


@frozen
class RolloutCaptureService:
    """Records a teacher's play, labelling perturbed decisions too, so that a clone has seen how to recover."""

    def record(
        self,
        environment: Environment,
        teacher: Teacher,
        decisions: int,
        perturbed: float,
        facts: DatasetFacts,
        report: Callable[[int], None],
    ) -> Recording:
        """Play one episode of `decisions` decisions in every world and return what happened."""
        if decisions <= 0:
            raise BadInputError(f"cannot capture {decisions} decisions; expected at least 1")
        about = environment.description
        shape = (decisions, environment.worlds, about.agents)
        observations = np.empty((*shape, len(about.features)), np.float32)
        masks = np.empty((*shape, len(about.actions)), np.bool_)
        labels, alive = np.empty(shape, np.int16), np.empty(shape, np.bool_)
        rewards, terminations = np.empty(shape, np.float32), np.empty(shape, np.bool_)
        seen, changed = environment.reset(), 0
        for t in range(decisions):
            observations[t], masks[t], alive[t] = seen.observations, seen.action_mask, seen.alive
            label = teacher.act(seen)
            labels[t] = label
            played = self._perturb(seen, label, perturbed)
            changed += int(((played != label) & seen.alive).sum())
            step = environment.step(played)
            rewards[t], terminations[t], seen = step.rewards, step.terminations, step.observations
            report(t + 1)
        dataset = Dataset(
            facts=facts,
            observations=observations,
            action_mask=masks,
            labels=labels,
            alive=alive,
            rewards=rewards,
            terminations=terminations,
        )
        return Recording(dataset=dataset, tallies=environment.tallies(), perturbed=changed)

    @staticmethod
    def _perturb(seen: ObservationBatchDTO, label: NDArray[np.int64], share: float) -> NDArray[np.int64]:
        """Replace a keyed random share of the actions by a random legal one."""
        if share <= 0:
            return label
        agents = np.arange(label.shape[1], dtype=np.uint64)
        chosen = uniform(mix(mix(seen.keys, _WHEN)[:, None], agents)) < np.float32(share)
        if not chosen.any():
            return label
        numbers = uniform(mix(mix(seen.keys, _WHICH)[:, None], agents))[chosen]
        logits = np.where(seen.action_mask[chosen], np.float32(0), np.float32(-1e9))
        played = label.copy()
        played[chosen] = sample(logits, numbers)
        return played


@frozen
class ReplayDatasetService:
    """Reads data sets by content hash."""

    blobs: BlobStore
    """Where they are stored."""

    def load(self, digest: str) -> Dataset:
        """Return the data set with this digest, verified; BadInputError where it is missing or unfit."""
        return read_dataset(self.blobs.get(digest), f"data set {digest[:12]}")


@frozen(kw_only=True)
class TrainingServices:
    """The services of one run."""

    capture: RolloutCaptureService = field(factory=RolloutCaptureService)
    """Records play."""
    replay: ReplayDatasetService
    """Reads it back."""
