"""The scripts that Townlet brings for environments of others: plain functions from an observation to an action."""

from collections.abc import Mapping
from math import cos, pi
from typing import Any

import numpy as np

from townlet.ports import Script

__all__ = ["SCRIPTS"]


def _balance(observation: Any) -> int:
    """Push the cart towards the side to which the pole falls: angle + ½ angular velocity."""
    return int(observation[2] + 0.5 * observation[3] > 0)


def _swing_up(observation: Any) -> Any:
    """Pump energy into the pendulum until it is near the top, then hold it there by a PD rule."""
    cosine, sine, velocity = (float(number) for number in observation)
    angle = np.arctan2(sine, cosine)
    if abs(angle) < pi / 4:
        torque = -12.0 * angle - 3.0 * velocity
    else:  # E of a rod of length 1 and mass 1 about its end, g = 10: ⅙·ω² + 5·cos θ, and 5 at rest at the top
        torque = 2.0 * np.sign(velocity or 1.0) * np.sign(5.0 - (velocity**2 / 6 + 5.0 * cos(angle)))
    return np.array([np.clip(torque, -2.0, 2.0)], np.float32)


def _descend(observation: Any) -> int:
    """Lean against drift, hover above a slope that leads to the pad, and fire what is most wrong.

    A PD rule for the angle and one for the height, as in the heuristic of Gymnasium's own lander.
    """
    x, y, drift, fall, angle, spin, left, right = (float(number) for number in observation)
    turn = 0.5 * (min(max(0.5 * x + drift, -0.4), 0.4) - angle) - spin
    climb = 0.5 * (0.55 * abs(x) - y) - 0.5 * fall
    if left or right:  # a leg stands: only the fall is to be braked
        turn, climb = 0.0, -0.5 * fall
    if climb > max(abs(turn), 0.05):
        return 2
    return 0 if abs(turn) < 0.05 else 3 if turn < 0 else 1


_LEAD_TIMES, _CAPACITIES = (3, 5, 10), (100, 90, 80)
_LEVELS = (95, 212, 397)
"""Echelon base-stock levels, the best of 120 random ones over 64 episodes."""


def _order_up_to(observation: Any) -> Any:
    """Order at each stage what its echelon lacks to its level (base stock; Clark and Scarf 1960).

    The observation holds the stock of three stages and the orders of the last ten periods; an order of stage i arrives
    after its lead time, and cannot exceed the stock of the stage above it.
    """
    stock, orders = np.asarray(observation[:3], float), np.asarray(observation[3:], float).reshape(-1, 3)
    on_the_way = [orders[-periods:, stage].sum() for stage, periods in enumerate(_LEAD_TIMES)]
    lacks = _LEVELS - np.cumsum(stock + on_the_way)
    return np.clip(np.minimum(lacks, [stock[1], stock[2], np.inf]), 0, _CAPACITIES).astype(np.int16)


def _nearest_landmark(observation: Any) -> int:
    """Go to the nearest landmark to which no other agent is nearer, along the longer way; brake in time.

    The observation holds velocity, position, and the ways to n landmarks and n − 1 other agents, two numbers each.
    """
    n = len(observation) // 6
    velocity, ways = observation[:2], observation[4 : 4 + 4 * n - 2].reshape(-1, 2)
    landmarks, others = ways[:n], ways[n:]
    mine = np.linalg.norm(landmarks, axis=1)
    theirs = np.linalg.norm(landmarks[:, None] - others, axis=2).min(1)
    way = landmarks[np.argmin(np.where(mine <= theirs, mine, mine + 10))] - 0.5 * velocity
    axis = int(np.argmax(np.abs(way)))
    return 0 if abs(way[axis]) < 0.05 else 1 + 2 * axis + int(way[axis] > 0)


SCRIPTS: Mapping[str, Mapping[str, Script]] = {
    "CartPole-v1": {"balance": _balance},
    "InvManagement-v1": {"order_up_to": _order_up_to},
    "LunarLander-v3": {"descend": _descend},
    "Pendulum-v1": {"swing_up": _swing_up},
    "simple_spread_v3": {"nearest_landmark": _nearest_landmark},
}
"""Teachers by environment id and name."""
