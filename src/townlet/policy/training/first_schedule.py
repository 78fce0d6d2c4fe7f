"""The first schedule for an environment and a teacher: commented text whose numbers follow from a pilot."""

import json
import re
from math import ceil, floor, log10

from attrs import frozen

from townlet.confidence.spending import nominal_levels
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.policy.advantages import return_horizon
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.pilot import Pilot, play_pilot
from townlet.ports import EnvironmentDescription

__all__ = ["FirstSchedule", "first_schedule"]

_SEED = 1
_SAMPLES, _LEAST_EPISODES, _MOST_EPISODES = 100_000, 32, 4_096
"""Samples that capture aims at, and the fewest and the most episodes for them."""
_ROLLOUT, _WORLDS = 4_096, 32
"""Samples of an iteration of ppo, and the worlds of an environment with one agent."""
_CONFIDENCE, _VISITS = 0.95, 2
_JUDGED, _LEAST_PAIRS, _MOST_PAIRS = 60_000, 192, 512
"""Decisions of the last look that evidence aims at, and the fewest and the most pairs for them."""
_TOLERANCE_SD, _TOLERANCE_MEAN = 0.25, 0.02
"""A candidate may be worse by a quarter of the teacher's spread between episodes, or by 2 % of its return."""
_COLLAPSE, _RARE = 10, 0.05
"""An episode that is worse than the champion's by ten tolerances is a loss that no mean makes up for; the largest share
of such episodes."""
_STEPS_DISCRETE, _STEPS_BOX = 200_000, 400_000


def first_schedule(spec: EnvironmentSpec, teacher: str, source: EnvironmentSource) -> "FirstSchedule":
    """Return a schedule for an environment and a teacher, after a pilot; BadInputError where there can be none."""
    environments = source.with_teacher(spec, teacher)
    description = environments.describe(spec.scenario)
    if description.decisions_per_day is not None:
        raise BadInputError(f"environment {spec.id!r} has schedules already: see townlet schedules")
    pilot = play_pilot(environments, spec.scenario, environments.teacher(spec.scenario, teacher), seed=_SEED)
    return FirstSchedule(environment=spec, description=description, teacher=teacher, pilot=pilot)


@frozen(kw_only=True)
class FirstSchedule:
    """Numbers fitted to an environment, and the text that holds them."""

    environment: EnvironmentSpec
    """The environment, as the schedule names it."""
    description: EnvironmentDescription
    """What it is."""
    teacher: str
    """The teacher, as the schedule names it."""
    pilot: Pilot
    """What the teacher did."""

    @property
    def name(self) -> str:
        """Name of the schedule: the last word of the environment's id."""
        word = re.split(r"[:./]", self.environment.id)[-1].lower()
        return re.sub(r"[^a-z0-9_-]+", "-", word).strip("-")[:60] or "environment"

    @property
    def tolerance(self) -> float:
        """By how much the candidate may be worse than the teacher, rounded to one digit."""
        return _one_digit(max(_TOLERANCE_SD * self.pilot.sd, _TOLERANCE_MEAN * abs(self.pilot.mean), 1e-6))

    def text(self) -> str:
        """Return the schedule."""
        return "\n".join((*self._head(), *self._judgement(), *self._states())) + "\n"

    def _head(self) -> list[str]:
        about, pilot = self.description, self.pilot
        limit = "no limit of its own" if about.max_steps is None else f"{about.max_steps} at most"
        return [
            f"# {self.environment.id}: the teacher {self.teacher} is cloned, and the clone is trained on and judged.",
            f"# Pilot of the teacher, {pilot.episodes} episodes: {about.objective} {_number(pilot.mean)} "
            f"± {_number(pilot.sd)} (mean ± sd), {pilot.length:.0f} decisions an episode ({limit}).",
            "schedule: townlet/v1",
            f"name: {self.name}",
            f"seed: {_SEED}                       # the only source of randomness: the same seed gives the same bits",
            "budget: {wall_clock: 1h, disk: 2GiB}   # beyond it the run holds, and a person decides",
            self._environment(),
            f"teacher: {_quoted(self.teacher)}",
            f"registry: {{name: {self.name}, champion: champion}}   # the alias that a promotion moves",
            "",
        ]

    def _environment(self) -> str:
        spec, parts = self.environment, [f"id: {_quoted(self.environment.id)}"]
        if spec.scenario != "default":
            parts.append(f"scenario: {_quoted(spec.scenario)}")
        if spec.with_:
            parts.append(f"with: {json.dumps(dict(spec.with_), ensure_ascii=False)}")
        if spec.max_steps is not None:
            parts.append(f"max_steps: {spec.max_steps}")
        if spec.metrics:
            metrics = {name: metric.model_dump() for name, metric in spec.metrics.items()}
            parts.append(f"metrics: {json.dumps(metrics, ensure_ascii=False)}")
        parts.append(f"worlds: {self._worlds}")
        if spec.workers:
            parts.append(f"workers: {spec.workers}")
        return f"environment: {{{', '.join(parts)}}}"

    @property
    def _worlds(self) -> int:
        worlds = max(4, _WORLDS // self.description.agents)
        return min(worlds, self.description.most_worlds or worlds)

    def _judgement(self) -> list[str]:
        first, last = self._looks
        judged = f"evaluate.{self.description.objective}"
        is_box = not self.description.actions.discrete
        cloned = "bc.heldout_r2, at_least: 0.7}" if is_box else "bc.heldout_accuracy, at_least: 0.7}"
        return [
            "evidence:",
            f"  # Candidate and baseline play the same episodes; {last} where the first {first} do not decide.",
            f"  # {self._detectable}",
            f"  full: {{episodes: [{first}, {last}], confidence: {_CONFIDENCE:.0%}}}",
            "",
            "baselines:",
            "  champion: {alias: champion, otherwise: teacher}   # no champion yet: the teacher itself is the bar",
            "",
            "guards:",
            f"  cloned: {{metric: {cloned}",
            "  finite: {metric: ppo.nonfinite_updates, at_most: 0}",
            "  small_updates: {metric: ppo.approx_kl_p95, at_most: 0.1}",
            f"  better: {{metric: {judged}, better_by: {{baseline: champion, absolute: 0}}, evidence: full}}",
            "  # What the policy may cost at most: write down your own number, in the unit of the metric.",
            f"  as_good: {{metric: {judged}, not_worse_than: "
            f"{{baseline: champion, absolute: {_number(self.tolerance)}}}, evidence: full}}",
            f"  # A mean hides rare losses: few episodes may be worse by {_COLLAPSE} times as much.",
            f"  rarely_worse: {{metric: {judged}, share_worse: {{baseline: champion, "
            f"absolute: {_number(_COLLAPSE * self.tolerance)}, at_most: {_RARE:.0%}}}, evidence: full}}",
            f"  rounds_left: {{visits_to: ppo, below: {_VISITS}}}",
            "",
        ]

    @property
    def _looks(self) -> tuple[int, int]:
        """Pairs at both looks."""
        pairs = floor(_JUDGED / max(self.pilot.length * self.description.agents, 1))
        last = min(max(pairs, _LEAST_PAIRS), _MOST_PAIRS) // 4 * 4
        return last // 4, last

    @property
    def _has_whole_returns(self) -> bool:
        """Whether captured returns are whole, so that bc can fit a critic: lives end, or outlast the discount."""
        limit, length = self.description.max_steps, self.pilot.length
        return limit is None or length < 0.9 * limit or limit > return_horizon(self.description.discount)

    @property
    def _detectable(self) -> str:
        """What the last look can find, in a sentence."""
        if self.pilot.sd == 0:
            return "The teacher's episodes of the pilot all have one return, so only the candidate's own vary."
        level = nominal_levels((1 - _CONFIDENCE) / _VISITS, self._looks, "obrien_fleming")[-1]
        found = self.pilot.detectable(self._looks[-1], level)
        return f"The last look finds a true difference of {_number(found)} in 9 of 10 runs, less if pairs are alike."

    def _states(self) -> list[str]:
        about = self.description
        episodes = ceil(_SAMPLES / max(self.pilot.length * about.agents, 1))
        episodes = min(max(episodes, _LEAST_EPISODES), _MOST_EPISODES, about.most_worlds or _MOST_EPISODES)
        is_box = not about.actions.discrete
        steps = _STEPS_BOX if is_box else _STEPS_DISCRETE
        num_steps = max(16, _ROLLOUT // (self._worlds * about.agents))
        warm = steps // (20 if self._has_whole_returns else 8)
        value_epochs = 0 if not self._has_whole_returns else 10 if is_box else 5
        return [
            "initial: capture",
            "states:",
            "  capture:                      # the teacher plays and is recorded",
            "    strategy: capture",
            f"    with: {{episodes: {episodes}}}",
            "    next: [{to: bc}]",
            "  bc:                           # a network is cloned from the recording",
            "    strategy: bc",
            f"    with: {{update_epochs: {30 if is_box else 20}, learning_rate: 2.0e-3, minibatch_size: 1024, "
            f"value_epochs: {value_epochs}, gamma: {about.discount:g}}}",
            "    next: [{to: ppo, when: [cloned]}, {to: hold, why: the clone is too weak}]",
            "  ppo:                          # the clone is trained on; its critic first, the actor after it",
            "    strategy: ppo",
            "    with:",
            "      start_from: clone",
            f"      agent_steps: {steps}",
            f"      num_steps: {num_steps}",
            "      update_epochs: 4",
            "      minibatch_size: 1024",
            f"      learning_rate: {'3.0e-4' if is_box else '1.0e-3'}",
            f"      gamma: {about.discount:g}             # discount of a decision, fitted to the length of an episode",
            "      ramps:",
            f"        - {{actor: [[0, 0], [{warm}, 0], [{2 * warm}, 1], [{steps}, 0.05]], "
            f"critic: [[0, 1], [{steps}, 0.1]], anchor_kl: [[0, 0.05], [{steps // 4}, 0]]}}",
            "    retry: {attempts: 2}        # of an environment or a disk that fails",
            "    next: [{to: evaluate, when: [finite]}, {to: rollback, why: the update diverged}]",
            "  evaluate:                     # fresh episodes decide",
            "    strategy: evaluate",
            "    next:",
            "      - {to: promote, when: [better, rarely_worse, small_updates], why: better than the champion}",
            "      - {to: promote, when: [as_good, rarely_worse, small_updates], why: as good within the tolerance}",
            "      - {to: ppo, when: [rounds_left], why: not yet good enough}",
            "      - {to: rollback, why: no round produced a policy that is good enough}",
            "  promote: {strategy: promote, next: [{to: done, why: the champion moved}]}",
            "  rollback: {strategy: rollback, next: [{to: done, why: the champion stays}]}",
        ]


def _number(value: float) -> str:
    """Return a number with three digits that YAML reads as one."""
    return f"{value:.3g}" if "e" not in f"{value:.3g}" else f"{value:.2e}"


def _one_digit(value: float) -> float:
    """Return a positive number rounded down to one significant digit."""
    scale = 10.0 ** floor(log10(value))
    return floor(value / scale * (1 + 1e-9)) * scale


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False) if re.search(r"[^A-Za-z0-9_.-]", word) else word
