"""The names under which trackers show numbers: those that users of Stable-Baselines3 look for, and the run's own."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from townlet.dto.guards import GuardReport, Verdict

__all__ = ["gate_numbers", "point_numbers", "result_numbers"]

_SB3 = {
    "reward": "rollout/reward_mean",
    "episode_return": "rollout/ep_rew_mean",
    "episode_length": "rollout/ep_len_mean",
    "episodes": "rollout/episodes",
    "policy_loss": "train/policy_gradient_loss",
    "total_loss": "train/loss",
    "watched": "eval/mean_reward",
    "watched_difference": "eval/difference",
    "watched_low": "eval/difference_low",
    "watched_high": "eval/difference_high",
    "watched_pairs": "eval/pairs",
}
"""Numbers of a state that fine-tunes, by the names of SB3's logger; all others are ``train/NAME``."""
_OF_ROLLOUTS = ("episode_", "reward_term_")
"""How numbers of training episodes and the terms of their rewards begin."""
_GATE = ("value", "baseline", "limit", "low", "high", "p_value")
_PASSED = {Verdict.PASS: 1.0, Verdict.FAIL: 0.0}


def point_numbers(state: str, numbers: Mapping[str, float], *, fine_tunes: bool) -> dict[str, float]:
    """Return the numbers of one iteration by their names in a tracker.

    ``entropy_loss`` is −entropy, as in SB3. A state that does not fine-tune has names of its own: ``STATE/NAME``.
    """
    if not fine_tunes:
        return {f"{state}/{name}": value for name, value in numbers.items()}
    named = {_name(name): value for name, value in numbers.items() if name != "entropy"}
    return named | ({"train/entropy_loss": -numbers["entropy"]} if "entropy" in numbers else {})


def _name(name: str) -> str:
    return _SB3.get(name, f"rollout/{name}" if name.startswith(_OF_ROLLOUTS) else f"train/{name}")


def gate_numbers(report: GuardReport) -> dict[str, float]:
    """Return a guard's numbers: ``gate/GUARD/value``, its bounds and limit; ``passed`` where it passed or failed."""
    fields = {name: getattr(report, name) for name in _GATE} | {"passed": _PASSED.get(report.verdict)}
    return {f"gate/{report.guard}/{name}": value for name, value in fields.items() if value is not None}


def result_numbers(state: str, result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a visit's result, as the journal holds it: ``result/STATE/NAME``."""
    return {
        f"result/{state}/{name}": float(value)
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }
