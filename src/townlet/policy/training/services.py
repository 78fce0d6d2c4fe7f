"""Services of strategies: record episodes, read data sets, fold the state of promotion. Pure Python and numpy."""

import logging
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.anneal import PromotionPass, PromotionSnapshot
from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.guards import Verdict
from townlet.dto.journal import EffectDone, Entry, GuardsJudged, VisitFinished, VisitStarted
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.strategies import DataSpec
from townlet.errors import BadInputError, StrategyFailedError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.guards.verdicts import all_of, evaluate_condition
from townlet.policy.data.dataset import Dataset, DatasetMetadata, label_dtype, read_dataset
from townlet.policy.data.imported import ReplayDataset, open_dataset
from townlet.policy.data.samples import samples_to_trajectories
from townlet.policy.data.trajectories import Trajectories, read_trajectories
from townlet.policy.distributions.acting import masked, sample
from townlet.policy.episode_checks import check_finite, check_over
from townlet.policy.model.weights import Weights
from townlet.ports import (
    Environment,
    EnvironmentDescription,
    StubTeacher,
    Tallies,
    Teacher,
    begin_episodes,
    teacher_actions,
)
from townlet.rng import mix, uniform
from townlet.store.blobs import BlobStore

__all__ = ["PromotionServiceAdapter", "Recording", "ReplayDatasetService", "RolloutCaptureService", "TrainingServices"]

PERTURB_MASK, PERTURB_ACTION = 0xCA, 0xCB
"""Streams of the perturbation: whether to perturb, and with which action."""
_LOG = logging.getLogger(__name__)


@frozen(kw_only=True, eq=False)
class Recording:
    """One captured batch of episodes."""

    experience: Trajectories
    """Trajectories; a teacher's labels are the actions, a learner's have log-probabilities and value predictions."""
    tallies: Tallies
    """KPI sums of the recorded play."""
    perturbed_decisions: int
    """Decisions of living agents at which another action than the label was played."""

    @property
    def dataset(self) -> Dataset:
        """Data set of the trajectories."""
        return self.experience.dataset


@frozen
class RolloutCaptureService:
    """Records episodes; a teacher's perturbed decisions are labelled too, so that a clone learns to recover."""

    def record(
        self,
        environment: Environment,
        player: Teacher | Weights,
        decisions: int,
        perturbed: float,
        metadata: DatasetMetadata,
        report: Callable[[int], None],
    ) -> Recording:
        """Play one episode of at most `decisions` decisions in every world and return the recording.

        A world that is over before the others is recorded as one without living agents.

        Weights act stochastically and unperturbed. A stub never acts: a warning, and an empty recording.
        BadInputError for no decisions, StrategyFailedError for an empty town, EnvironmentFaultError for an episode that
        ends early and for an observation or a reward that is not finite.
        """
        if decisions <= 0:
            raise BadInputError(f"cannot capture {decisions} decisions; expected at least 1 tick to capture")
        if isinstance(player, StubTeacher):
            _LOG.warning(
                "capture_rollout_stub_policy %s: %s; no trajectories captured", metadata.teacher, player.never_acts
            )
            decisions = 0
        description = environment.description
        shape = (decisions, environment.worlds, description.agents)
        observations = np.empty((*shape, len(description.features)), np.float32)
        spec = description.actions
        masks = np.empty((*shape, spec.logits), np.bool_)
        labels, alive = np.empty((*shape, spec.columns), label_dtype(spec)), np.empty(shape, np.bool_)
        rewards, terminations = np.empty(shape, np.float32), np.empty(shape, np.bool_)
        log_probs, predictions = np.zeros(shape, np.float32), np.zeros((decisions + 1, *shape[1:]), np.float32)
        cut, over = np.zeros(shape, np.bool_), np.zeros(environment.worlds, np.bool_)
        lengths, played_decisions = np.zeros(environment.worlds, np.int64), 0
        seen, perturbed_decisions = environment.reset(), 0
        begin_episodes(player, np.ones(environment.worlds, np.bool_))
        if not seen.alive.any():
            raise StrategyFailedError(
                f"the {description.id} is empty: no agent lives in any of its {environment.worlds} worlds of "
                f"{description.agents} slots, so there is nothing to record; choose a scenario with agents"
            )
        for t in range(decisions):
            observations[t], masks[t], alive[t] = seen.observations, seen.action_mask, seen.alive & ~over[:, None]
            if isinstance(player, Weights):
                played, log_probs[t], predictions[t] = _sampled(seen, player)
                labels[t] = played
            else:
                label = teacher_actions(player, seen, spec)
                labels[t] = label
                played = self._perturb(seen, label, perturbed, spec)
                perturbed_decisions += int(((played != label).any(-1) & alive[t]).sum())
            step = environment.step(played)
            lengths[~over] += 1
            check_over(description, step.over, lengths, decisions, before=over)
            rewards[t], terminations[t], seen = step.rewards, step.terminations, step.observations
            cut[t], over, played_decisions = step.truncations | step.over[:, None], step.over, t + 1
            report(t + 1)
            if over.all():
                break
        dataset = Dataset(
            metadata=metadata,
            observations=observations[:played_decisions],
            action_mask=masks[:played_decisions],
            labels=labels[:played_decisions],
            alive=alive[:played_decisions],
            rewards=rewards[:played_decisions],
            terminations=terminations[:played_decisions],
        )
        for name, values in (("observations", dataset.observations), ("rewards", dataset.rewards)):
            check_finite(description, name, values)
        if isinstance(player, Weights):
            predictions[played_decisions] = _predicted(seen, player)
        tallies = environment.tallies()
        sums = tallies.sums.sum(1)
        experience = Trajectories(
            dataset=dataset,
            log_probs=log_probs[:played_decisions],
            predictions=predictions[: played_decisions + 1],
            truncations=cut[:played_decisions],
            sums=sums if np.isfinite(sums).all() else np.zeros(0),  # a KPI is shown with a recording, nothing learns it
        )
        return Recording(experience=experience, tallies=tallies, perturbed_decisions=perturbed_decisions)

    @staticmethod
    def _perturb(seen: ObservationBatchDTO, label: Actions, share: float, spec: ActionSpec) -> Actions:
        """Replace a keyed random share of the actions by a random one: legal options, numbers within the bounds."""
        if share <= 0:
            return label
        agents, columns = np.arange(label.shape[1], dtype=np.uint64), np.arange(1, spec.columns, dtype=np.uint64)
        chosen = uniform(mix(mix(seen.keys, PERTURB_MASK)[:, None], agents)) < np.float32(share)
        if not chosen.any():
            return label
        slots = mix(mix(seen.keys, PERTURB_ACTION)[:, None], agents)[chosen][:, None]
        numbers = uniform(np.concatenate((slots, mix(slots, columns)), axis=1))
        logits = masked(np.zeros((len(numbers), spec.logits), np.float32), seen.action_mask[chosen])
        means, options = np.zeros((len(numbers), len(spec.box)), np.float32), len(spec.discrete)
        random, _ = sample(logits, means, np.zeros(len(spec.box), np.float32), numbers, spec)
        random[:, options:] = 2 * numbers[:, options:] - 1  # uniform between the bounds
        played = label.copy()
        played[chosen] = random
        return played


def _sampled(seen: ObservationBatchDTO, weights: Weights) -> tuple[Actions, NDArray[np.float32], NDArray[np.float32]]:
    """Return actions [W, N, C], their log-probabilities and the values expected, each [W, N]."""
    player = weights.policy("stochastic")
    draw = player.draw(seen, player.normalise(seen.observations))
    return draw.actions, draw.log_probs, _predicted(seen, weights)


def _predicted(seen: ObservationBatchDTO, weights: Weights) -> NDArray[np.float32]:
    return weights.values(weights.policy().normalise(seen.observations)).reshape(seen.alive.shape)


@frozen
class ReplayDatasetService:
    """Reads data sets: by content hash what runs recorded, by their names what comes from outside."""

    blobs: BlobStore
    """Where recorded ones are stored."""

    def load(self, digest: str) -> Dataset:
        """Return the data set with this digest, verified; BadInputError where it is missing or unfit."""
        return read_dataset(self.blobs.get(digest), f"data set {digest[:12]}")

    def experience(self, digest: str) -> Trajectories:
        """Return the recorded play with this digest, verified; BadInputError where it is missing or unfit."""
        return read_trajectories(self.blobs.get(digest), f"recorded play {digest[:12]}")

    def open(self, data: DataSpec, *, streaming: bool = False) -> ReplayDataset:
        """Return a data set from outside, its digest verified; BadInputError naming the file that is unfit."""
        return open_dataset(data, streaming=streaming)

    def trainable(self, data: DataSpec, description: EnvironmentDescription) -> Trajectories:
        """Return the accepted samples as play that ppo learns from; BadInputError naming the unfit one."""
        return samples_to_trajectories(tuple(self.open(data).samples(accepted=True)), description)


@frozen(kw_only=True)
class PromotionServiceAdapter:
    """Folds the state of promotion from the journal; it decides nothing.

    A pass is an evaluate visit whose promote edge held, by the recorded verdicts.
    """

    schedule: ScheduleSpec
    """Whose edges lead to promote."""
    catalogue: StrategyCatalogue
    """Which strategies have an effect."""
    current: PromotionSnapshot = PromotionSnapshot()
    """Snapshot after the records so far."""

    def snapshot(self) -> PromotionSnapshot:
        """Return the snapshot after the records so far."""
        return self.current

    def restore(self, snapshot: PromotionSnapshot) -> "PromotionServiceAdapter":
        """Return the adapter that goes on from a snapshot."""
        return evolve(self, current=snapshot)

    def fold(self, entries: Iterable[Entry]) -> "PromotionServiceAdapter":
        """Return the adapter after more records of the journal."""
        current = self.current
        for entry in entries:
            current = self._advance(current, entry)
        return evolve(self, current=current)

    def _advance(self, current: PromotionSnapshot, entry: Entry) -> PromotionSnapshot:
        record = entry.record
        if isinstance(record, VisitStarted):
            initial = current.initial_release if current.begun else record.expected_champion
            return evolve(current, current_release=record.expected_champion, initial_release=initial, begun=True)
        if isinstance(record, VisitFinished) and self.catalogue.entries[record.strategy].measures:
            return evolve(current, candidate=record.result.get("weights"))
        if isinstance(record, GuardsJudged):
            return self._judged(current, record, entry.seq)
        if isinstance(record, EffectDone):
            passed = PromotionPass(tick=entry.seq, event="promoted", candidate=record.target, release=record.target)
            history = (*current.history, passed)
            return evolve(current, state="promoted", current_release=record.target, history=history)
        return current

    def _judged(self, current: PromotionSnapshot, record: GuardsJudged, tick: int) -> PromotionSnapshot:
        state = self.schedule.states[record.state]
        edges = [edge for edge in state.next if self._promotes(edge.to)]
        if not edges or not self.catalogue.entries[state.strategy].measures:
            return current
        verdicts = {report.guard: report.verdict for report in record.reports}
        held = any(all_of(evaluate_condition(part, verdicts) for part in edge.when) == Verdict.PASS for edge in edges)
        streak = current.pass_streak + 1 if held else 0
        ready = streak >= current.required_passes
        result: Literal["pass", "fail"] = "pass" if held else "fail"
        event = PromotionPass(tick=tick, event=result, candidate=current.candidate, release=current.current_release)
        return evolve(
            current,
            state="ready" if ready else "monitoring",
            pass_streak=streak,
            candidate_ready=ready,
            candidate_ready_tick=(current.candidate_ready_tick or tick) if ready else None,
            last_result=result,
            last_evaluated_tick=tick,
            history=(*current.history, event),
        )

    def _promotes(self, state: str) -> bool:
        spec = self.schedule.states.get(state)
        return spec is not None and self.catalogue.entries[spec.strategy].effect


def promotion_of(schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> PromotionServiceAdapter:
    return PromotionServiceAdapter(schedule=schedule, catalogue=catalogue)


@frozen(kw_only=True)
class TrainingServices:
    """The services of one run."""

    capture: RolloutCaptureService = field(factory=RolloutCaptureService)
    """Records play."""
    replay: ReplayDatasetService
    """Reads it back."""
    promotion: Callable[[ScheduleSpec, StrategyCatalogue], PromotionServiceAdapter] = promotion_of
    """Makes the reader of a run's promotion."""
