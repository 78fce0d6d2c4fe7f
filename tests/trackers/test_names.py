"""Numbers have the names under which users look for them."""

import pytest

from townlet.dto.guards import GuardReport, Verdict
from townlet.trackers.names import gate_numbers, point_numbers, result_numbers


def test_a_state_that_fine_tunes_has_the_names_of_sb3() -> None:
    """Names of SB3's logger where it has the number, `train/NAME` for all others; the entropy loss is negative."""
    numbers = {
        "reward": 1.0,
        "episode_return": 2.0,
        "episode_length": 3.0,
        "episode_queue_intensity": 3.5,
        "reward_term_wage": 3.25,
        "value_loss": 4.0,
        "approx_kl": 5.0,
        "clip_fraction": 6.0,
        "explained_variance": 7.0,
        "policy_loss": 8.0,
        "entropy": 9.0,
        "anchor_kl": 10.0,
        "watched": 11.0,
        "watched_low": -1.0,
        "watched_high": 12.0,
        "watched_pairs": 24.0,
    }

    assert {
        "rollout/reward_mean": 1.0,
        "rollout/ep_rew_mean": 2.0,
        "rollout/ep_len_mean": 3.0,
        "rollout/episode_queue_intensity": 3.5,
        "rollout/reward_term_wage": 3.25,
        "train/value_loss": 4.0,
        "train/approx_kl": 5.0,
        "train/clip_fraction": 6.0,
        "train/explained_variance": 7.0,
        "train/policy_gradient_loss": 8.0,
        "train/entropy_loss": -9.0,
        "train/anchor_kl": 10.0,
        "eval/mean_reward": 11.0,
        "eval/difference_low": -1.0,
        "eval/difference_high": 12.0,
        "eval/pairs": 24.0,
    } == point_numbers("ppo", numbers, fine_tunes=True)


def test_other_states_name_their_numbers_themselves() -> None:
    """`STATE/NAME`, whatever the numbers are called."""
    assert {"clone/value_loss": 1.0, "clone/entropy": 2.0} == point_numbers(
        "clone", {"value_loss": 1.0, "entropy": 2.0}, fine_tunes=False
    )


@pytest.mark.parametrize(("verdict", "passed"), [(Verdict.PASS, 1.0), (Verdict.FAIL, 0.0), (Verdict.UNDECIDED, None)])
def test_a_guard_has_its_bounds_and_its_limit(verdict: Verdict, passed: float | None) -> None:
    """What a guard has no number for is left out; one without a verdict neither passed nor failed."""
    report = GuardReport(guard="better", verdict=verdict, value=2.0, limit=0.0, low=1.5, sentence="…")
    numbers = {"gate/better/value": 2.0, "gate/better/limit": 0.0, "gate/better/low": 1.5}

    assert numbers | ({} if passed is None else {"gate/better/passed": passed}) == gate_numbers(report)


def test_a_result_gives_its_finite_numbers() -> None:
    """Digests, flags and lists are no numbers."""
    result = {"looks": 2, "seconds": 0.5, "weights": "abc", "diverged": True, "nan": float("nan"), "flags": ["cliff"]}
    assert {"result/evaluate/looks": 2.0, "result/evaluate/seconds": 0.5} == result_numbers("evaluate", result)
