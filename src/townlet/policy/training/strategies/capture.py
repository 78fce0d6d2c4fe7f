"""capture: the teacher plays and is recorded."""

from time import perf_counter

import numpy as np
from attrs import frozen

from townlet.dto.policy import CaptureResult
from townlet.dto.strategies import CaptureSpec
from townlet.keyed import derive
from townlet.policy.dataset import DatasetFacts
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.services import Recording

__all__ = ["CaptureStrategy"]


@frozen
class CaptureStrategy:
    """Records whole episodes of the schedule's teacher."""

    name: str = "capture"
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse an unknown teacher."""
        context.environments.teacher(context.schedule.environment.scenario, context.schedule.teacher)

    def run(self, context: TrainingContext) -> CaptureResult:
        """Record, store the data set, and say what is in it."""
        started, spec, schedule = perf_counter(), context.spec_of(CaptureSpec), context.schedule
        about, scenario = context.description, schedule.environment.scenario
        environment = context.environments.make(
            scenario, worlds=spec.episodes, seed=derive(context.visit.seed, "episodes"), days=spec.days
        )
        decisions = spec.days * about.decisions_per_day
        per_decision = spec.episodes * about.agents

        def report(done: int) -> None:
            if done % 48 == 0 or done == decisions:
                context.telemetry.emit(done, {}, of=decisions, agent_steps=done * per_decision)

        facts = DatasetFacts(
            features=about.features,
            actions=about.actions,
            environment=about.signature,
            scenario=scenario,
            teacher=schedule.teacher,
            discount=about.discount,
        )
        teacher = context.environments.teacher(scenario, schedule.teacher)
        recording = context.services.capture.record(environment, teacher, decisions, spec.perturbed, facts, report)
        digest = context.blobs.put(recording.dataset.to_bytes())
        return _result(recording, digest, decisions * per_decision, perf_counter() - started)


def _result(recording: Recording, digest: str, agent_steps: int, duration: float) -> CaptureResult:
    dataset, tallies = recording.dataset, recording.tallies
    living = dataset.labels[dataset.alive]
    counts = np.bincount(living, minlength=len(dataset.facts.actions))
    shares = counts[counts > 0] / max(counts.sum(), 1)
    exposure = float(tallies.exposures[0].sum())
    return CaptureResult(
        episodes=float(dataset.labels.shape[1]),
        samples=float(len(living)),
        action_entropy=float(-(shares * np.log(shares)).sum()),
        perturbed_share=recording.perturbed / max(len(living), 1),
        return_per_agent_day=float(tallies.sums[0].sum()) / exposure if exposure > 0 else 0.0,
        action_counts=dict(zip(dataset.facts.actions, counts.tolist(), strict=True)),
        blobs={"dataset": digest},
        agent_steps=agent_steps,
        duration=duration,
    )
