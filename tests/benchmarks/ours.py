"""Our own learners as contestants: a schedule's ppo through the orchestrator, its parts timed; behaviour cloning."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs
import numpy as np
from arms import ungated
from attrs import define, field
from contestants import Contestant, Figures, timed
from numpy.typing import NDArray

from townlet.dto.policy import BCTrainingResult
from townlet.dto.schedule import ScheduleSpec
from townlet.imports import Imports
from townlet.policy.model.weights import Weights
from townlet.policy.ppo import rollout
from townlet.policy.training import ppo_data
from townlet.policy.training.bench_host import clocks
from townlet.policy.training.bench_products import PPOShapes
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, Teacher

__all__ = ["WARM", "cloning", "ours"]

WARM = 2
"""Iterations of ours that are not timed."""


@define
class Stopwatch:
    """Adds up the seconds [2] of calls by both clocks, by name."""

    seconds: dict[str, NDArray[np.float64]] = field(factory=dict)

    def of(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same call, timed."""

        def measured(*given: Any, **named: Any) -> Any:
            began = clocks()
            answer = call(*given, **named)
            self.seconds[name] = self.seconds.get(name, np.zeros(2)) + clocks() - began
            return answer

        return measured


def ours(
    schedule: Callable[[int], ScheduleSpec | ScheduleSource], shapes: PPOShapes, allowed: tuple[str, ...] = ()
) -> Contestant:
    """Return our PPO, on the schedule of so many iterations, timed from the end of its second iteration on.

    `allowed` are the modules that the schedule may import.
    """

    def run(iterations: int) -> Figures:
        from townlet.policy.ppo.learner import Learner

        watch, moments = Stopwatch(), list[NDArray[np.float64]]()
        warm: dict[str, NDArray[np.float64]] = {}

        class Timed(rollout.Rollout):
            """A rollout whose environment and whole play are timed."""

            def __init__(self, environment: Environment, *given: Any, **named: Any) -> None:
                environment.step = watch.of("environment", environment.step)  # type: ignore[method-assign]
                environment.reset = watch.of("environment", environment.reset)  # type: ignore[method-assign]
                super().__init__(environment, *given, **named)

            def collect(self, weights: Weights, teacher: Teacher | None = None, share: float = 0.0) -> None:
                watch.of("play", super().collect)(weights, teacher, share)

        def tick(point: object) -> None:
            moments.append(clocks())
            if len(moments) == WARM:
                warm.update(watch.seconds)

        with ExitStack() as patches, tempfile.TemporaryDirectory() as home:
            patches.enter_context(patch.object(ppo_data, "Rollout", Timed))
            patches.enter_context(patch.object(Learner, "update", watch.of("update", Learner.update)))
            ended = PolicyTrainingOrchestrator(
                schedule(iterations + WARM), home=Path(home), watch=tick, imports=Imports(allowed)
            ).run()
        if len(moments) <= WARM:
            raise RuntimeError(f"the run made {len(moments)} iterations and ended {ended.state}: {ended.reason}")
        figures = timed(shapes.rows * (len(moments) - WARM), moments[WARM - 1], moments[-1])
        spent = {name: watch.seconds[name] - warm[name] for name in ("environment", "play", "update")}
        parts = {
            "environment": spent["environment"], "acting": spent["play"] - spent["environment"],
            "update": spent["update"],
            "rest": (figures["seconds"], figures["processor"]) - spent["play"] - spent["update"],
        }  # fmt: skip
        for name, seconds in parts.items():
            figures[name], figures[f"{name}_processor"] = map(float, seconds)
        return figures

    return run


def cloning(schedule: ScheduleSpec) -> Contestant:
    """Return behaviour cloning of the schedule's own data set: samples of the training passes ÷ their seconds."""

    def run(_: int) -> Figures:
        whole = ungated(schedule)
        states = {name: state for name, state in whole.states.items() if state.strategy in ("capture", "bc")}
        last = next(name for name, state in states.items() if state.strategy == "bc")
        states[last] = attrs.evolve(states[last], next=(attrs.evolve(states[last].next[0], to="done"),))
        began = clocks()
        with tempfile.TemporaryDirectory() as home:
            done = PolicyTrainingOrchestrator(attrs.evolve(whole, states=states), home=Path(home)).run()
        seconds, processor = clocks() - began
        result = next(stage.result for stage in done.stages if isinstance(stage.result, BCTrainingResult))
        samples = float(result.samples * result.epochs)
        told = samples / result.samples_per_second  # its processor seconds are not told apart from those of the capture
        return {"agent_steps": samples, "seconds": told, "processor": told * float(processor / seconds)}

    return run
