"""What rewards consist of is recorded while ppo trains and where policies are compared, and changes nothing else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from corridor import LENGTH, PER_DAY, Corridor, CorridorProvider
from corridor_runs import results, run_corridor
from corridor_schedules import GUARDED, LEARNS, write
from numpy.typing import NDArray
from ridge_weights import ridge

from townlet.dto.boundary import RewardBreakdownDTO, StepResult
from townlet.dto.policy import EvaluationResult
from townlet.env.town import TownProvider
from townlet.errors import EnvironmentFaultError
from townlet.machine.audit.run_data import RunData
from townlet.machine.engine.visit import Visit
from townlet.policy.evaluation.episodes import play
from townlet.policy.model.weights import read_weights
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.evidence import EvidenceCollector
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.services import ReplayDatasetService, TrainingServices
from townlet.policy.training.strategies.base import catalogue
from townlet.policy.training.telemetry import Telemetry
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

TERMS = ("left", "right")
ROUNDING = 1e-4


class TellingCorridor(Corridor):
    """Tells on which half of the corridor a goal was reached."""

    names = TERMS

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step, and keep the terms."""
        is_left = (self._goal() < LENGTH // 2)[:, None]
        result = super().step(actions)
        self.terms = np.stack([np.where(is_left, result.rewards, 0), np.where(is_left, 0, result.rewards)])
        return result

    def breakdown(self) -> RewardBreakdownDTO:
        """Return the terms."""
        return RewardBreakdownDTO(names=self.names, terms=self.terms)


class MisnamingCorridor(TellingCorridor):
    """Tells other terms than it declares."""

    names = ("left", "rihgt")


class TellingProvider(CorridorProvider):
    """Makes corridors that declare terms."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description, with terms."""
        return evolve(super().describe(scenario), reward_terms=TERMS)


def collector(folder: Path, provider: CorridorProvider) -> EvidenceCollector:
    """Return a collector for a clone and its teacher in the corridors of a provider."""
    path = write(folder, GUARDED, seed=3, ppo=LEARNS, scope="home")
    plan = PolicyTrainingOrchestrator(path, environments=provider).plan()
    blobs = BlobStore(folder / "blobs")
    context = TrainingContext(
        visit=Visit.outermost(3),
        plan=plan,
        blobs=blobs,
        environments=provider,
        services=TrainingServices(replay=ReplayDatasetService(blobs)),
        telemetry=Telemetry(),
    )
    policies = {"candidate": blobs.put(ridge("straight")), "teacher": "teacher:lazy"}
    return EvidenceCollector(context=context, evidence=plan.schedule.evidence["full"], seed=5, policies=policies)


def test_the_terms_of_a_town_add_up_to_its_return() -> None:
    """In each episode, per agent-day, whatever number of worlds plays at a time."""
    provider = TownProvider()
    description = provider.describe("queue_conflict")
    scripted = provider.teacher("queue_conflict", "scripted")
    played = play(provider, "queue_conflict", scripted, seed=4, max_steps=300, first=0, count=6)

    assert (len(description.reward_terms), 6) == played.terms.shape
    assert played.ratios(description.objective_index) == pytest.approx(played.terms.sum(0), rel=ROUNDING)
    assert played.terms[description.reward_terms.index("conflict")].min() < 0


def test_an_iteration_tells_the_terms_of_the_policys_own_worlds() -> None:
    """They add up to the mean reward of its decisions; what the teacher earned is left out."""
    provider = TellingProvider(TellingCorridor)
    rollout = Rollout(provider.make("plain", worlds=8, seed=1, max_steps=24), 24, 24)
    weights = read_weights(ridge("slow"), "slow")
    rollout.collect(weights)
    assert rollout.rewards.mean() * PER_DAY == pytest.approx(sum(rollout.term_means().values()), rel=ROUNDING)

    rollout.collect(weights, provider.teacher("plain", "straight"), 0.5)
    own = rollout.rewards[:, ~rollout.teacher_controlled]
    assert own.mean() * PER_DAY == pytest.approx(sum(rollout.term_means().values()), rel=ROUNDING)
    assert own.mean() < rollout.rewards.mean()
    rollout.collect(weights, provider.teacher("plain", "straight"), 1.0)
    assert {} == rollout.term_means()


@pytest.mark.parametrize(
    ("kind", "found"),
    [(Corridor, "has no method breakdown"), (MisnamingCorridor, "breakdown tells left, rihgt")],
)
def test_terms_that_are_declared_and_not_told_are_a_fault_of_the_environment(kind: type[Corridor], found: str) -> None:
    """The error names what was found and what was declared."""
    provider = TellingProvider(kind)
    with pytest.raises(EnvironmentFaultError, match=f"{found}; expected the terms that .* declares: left, right"):
        play(provider, "plain", provider.teacher("plain", "lazy"), seed=1, max_steps=24, first=0, count=2)


def test_a_run_records_terms_beside_the_evidence_and_equal_weights_without_them(tmp_path: Path) -> None:
    """Weights and semantic hash are those of a run that tells no terms; its iterations and its table tell none."""
    plain = run_corridor(tmp_path / "plain")
    path = write(tmp_path, GUARDED, seed=3, ppo=LEARNS, scope="home")
    home = tmp_path / "home"
    telling = PolicyTrainingOrchestrator(path, environments=TellingProvider(TellingCorridor), home=home).run()

    assert (plain.weights, plain.semantic_hash) == (telling.weights, telling.semantic_hash)
    assert [""] == [result.reward_terms for result in results(plain, "evaluate") if _is_evaluation(result)]
    run = RunData.read(RunDirectory.find(home, "latest"), home, catalogue())
    (terms,) = run.reward_terms
    assert (evolve(run.evidence[0].table, metrics=()), TERMS) == (
        evolve(terms.table, metrics=()),
        tuple(row.metric for row in terms.table.metrics),
    )
    for policy, values in run.evidence[0].table.metrics[0].values.items():
        told = np.sum([row.values[policy] for row in terms.table.metrics], axis=0)
        assert values == pytest.approx(told, rel=ROUNDING)
    last = json.loads(run.directory.metrics.read_text().splitlines()[-2])
    assert last["reward"] * PER_DAY == pytest.approx(last["reward_term_left"] + last["reward_term_right"], rel=ROUNDING)


def test_a_comparison_that_is_resumed_goes_on_with_its_terms(tmp_path: Path) -> None:
    """They are part of the checkpoint; of episodes that an earlier version played they are not known."""
    whole, first, second, later = (collector(tmp_path, TellingProvider(TellingCorridor)) for _ in range(4))
    whole.extend(40)
    first.extend(20)
    kept = first.arrays()
    second.resume(kept)
    second.extend(40)
    later.resume({name: values for name, values in kept.items() if "terms" not in name})
    later.extend(40)

    assert whole.term_rows() == second.term_rows()
    assert whole.rows() == later.rows()
    left = later.term_rows()[0].values["candidate"]
    assert (None,) * 20 == left[:20]
    assert whole.term_rows()[0].values["candidate"][20:] == left[20:]


def _is_evaluation(result: Any) -> bool:
    return isinstance(result, EvaluationResult)
