"""Ramps are pure functions of entry and agent-steps."""

import pytest

from townlet.dto.codec import CodecError, structure
from townlet.dto.strategies import RampSpec
from townlet.policy.ppo.ramps import ramp_at

RAMPS = (
    RampSpec(actor=((0, 0), (100, 0), (200, 1), (1000, 0.5))),
    RampSpec(actor=((0, 0.5),), anchor_kl=((0, 0.02), (400, 0))),
)


@pytest.mark.parametrize(("steps", "actor"), [(0, 0.0), (100, 0.0), (150, 0.5), (200, 1.0), (600, 0.75), (5000, 0.5)])
def test_a_ramp_is_linear_between_its_points_and_flat_outside(steps: int, actor: float) -> None:
    """The only argument is the agent-steps of the visit."""
    assert actor == pytest.approx(ramp_at(RAMPS, 0, steps).actor)


def test_the_last_entry_repeats() -> None:
    """The k-th visit takes entry k; visits beyond the list take the last."""
    assert ramp_at(RAMPS, 1, 200) == ramp_at(RAMPS, 7, 200)
    assert 0.01 == pytest.approx(ramp_at(RAMPS, 1, 200).anchor_kl)


@pytest.mark.parametrize(("steps", "share"), [(0, 0.5), (500, 0.25), (1000, 0.0), (9000, 0.0)])
def test_the_teachers_share_depends_on_agent_steps_only(steps: int, share: float) -> None:
    """It decays like any ramp and is 0 by default."""
    decays = (RampSpec(teacher_share=((0, 0.5), (1000, 0))),)
    assert share == pytest.approx(ramp_at(decays, 0, steps).teacher_share)
    assert 0.0 == ramp_at(RAMPS, 0, steps).teacher_share


def test_a_share_above_one_is_refused() -> None:
    """A share of the worlds is at most 1."""
    with pytest.raises(CodecError, match="at most 1"):
        structure({"teacher_share": [[0, 1.5]]}, RampSpec)


@pytest.mark.parametrize("points", [[], [[0, 1], [0, 2]], [[5, 1], [1, 2]], [[0, -1]]])
def test_points_out_of_order_or_below_zero_are_refused(points: list) -> None:
    """Agent-steps increase from point to point, and factors are not negative."""
    with pytest.raises(CodecError):
        structure({"actor": points}, RampSpec)
