"""Shapes of paired episodes: what KPIs of a candidate and of a baseline look like, at a loss that is known."""

from collections.abc import Callable, Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.special import ndtri

from townlet.dto.fields import Direction

Array = NDArray[np.float64]
Size = tuple[int, int]
Pairs = tuple[Array, Array]
Draw = Callable[[np.random.Generator, Size, float], Pairs]
Noise = Callable[[np.random.Generator, Size], Array]

AGENTS, LETHAL = 8, 40
"""Agents of a world; in 1 of so many episodes all die."""
CALM, STRUCK, STRIKES = 0.9, 0.1, 0.03
"""Attendance, that of a strike, and the share of episodes with one."""
LACKING = 0.05
"""Share of episodes in which a side has no exposure."""


@frozen(kw_only=True)
class Shape:
    """A law of pairs."""

    draw: Draw
    """Returns values [V, N] of both sides, not a number where a side has no exposure. The candidate's mean is worse
    than the baseline's by a given share of it."""
    direction: Direction = Direction.HIGHER
    """Which way is better."""
    missing: str | None = None
    """What the guard says that an episode counts as in which one side has no exposure."""
    tolerance: float = 0.1
    """Share of the baseline's mean that `not_worse_than` is asked at."""

    @property
    def sign(self) -> float:
        """+1 where higher is better, else −1."""
        return 1.0 if self.direction == Direction.HIGHER else -1.0

    def scales(self) -> tuple[float, float]:
        """Return the standard deviation of the differences and the baseline's mean, from 400,000 equal pairs."""
        own, other = self.draw(np.random.default_rng(7), (1000, 400), 0.0)
        return float(np.nanstd(own - other)), float(np.nanmean(other))


def beside(noise: Noise) -> Draw:
    """Return pairs of a baseline of 10 ± 2 and a candidate that differs from it by noise."""

    def draw(source: np.random.Generator, size: Size, loss: float) -> Pairs:
        other = 10 + 2 * source.standard_normal(size)
        return other + noise(source, size) - 10 * loss, other

    return draw


def correlated(correlation: float) -> Draw:
    """Return normal pairs with this correlation."""

    def draw(source: np.random.Generator, size: Size, loss: float) -> Pairs:
        first, second = source.standard_normal(size), source.standard_normal(size)
        return 10 * (1 - loss) + correlation * first + np.sqrt(1 - correlation**2) * second, 10 + first

    return draw


def catastrophe(one_of: int) -> Noise:
    """Return what gains 1 in most episodes and loses one_of − 1 in the others, with noise of ¼."""

    def draw(source: np.random.Generator, size: Size) -> Array:
        return np.where(source.random(size) < 1 / one_of, 1.0 - one_of, 1.0) + 0.25 * source.standard_normal(size)

    return draw


def bounded(source: np.random.Generator, size: Size, loss: float, *, erratic: bool) -> Pairs:
    """Return shares about 0.8; an erratic candidate is often near 1 and sometimes near 0."""
    mean, weight = 0.8 * (1 - loss), 1.0 if erratic else 10.0
    return source.beta(weight * mean, weight * (1 - mean), size), source.beta(8, 2, size)


def zero_inflated(source: np.random.Generator, size: Size, loss: float, *, alike: bool) -> Pairs:
    """Return events of a world where 3 in 5 episodes are without danger, for both sides or the candidate alone."""
    danger = np.where(source.random(size) < 0.6, 0.0, 3.0)
    own, other = source.poisson(danger * (1 + loss)), source.poisson(danger if alike else np.full(size, 1.2))
    return own / AGENTS, other / AGENTS


def wiped_out(source: np.random.Generator, size: Size, loss: float, *, alike: bool) -> Pairs:
    """Return deaths per agent: whole worlds at once, for both sides or the candidate alone beside single deaths."""
    own, other = (AGENTS * (source.random(size) < lethal / LETHAL) for lethal in (1 + loss, 1))
    return own / AGENTS, (other if alike else source.poisson(AGENTS / LETHAL, size)) / AGENTS


def striking(source: np.random.Generator, size: Size, loss: float, *, alike: bool) -> Pairs:
    """Return attendance with strikes, of both sides or the candidate alone; more of them are what it is worse by.

    Alone and no worse in the mean, the candidate's other episodes are better than the baseline's.
    """
    mean = CALM - STRIKES * (CALM - STRUCK) if alike else CALM
    calm = CALM if alike or loss else (CALM - STRIKES * STRUCK) / (1 - STRIKES)
    share = (calm - mean * (1 - loss)) / (calm - STRUCK)
    own = np.where(source.random(size) < share, STRUCK, calm)
    other = np.where(source.random(size) < (STRIKES if alike else 0.0), STRUCK, CALM)
    return own + 0.02 * source.standard_normal(size), other + 0.02 * source.standard_normal(size)


def lacking(source: np.random.Generator, size: Size, loss: float, *, worst: bool = False) -> Pairs:
    """Return normal pairs without 5 % of either side's values, at random, or without the candidate's worst 5 %."""
    noise = source.standard_normal(size)
    own, other = beside(lambda *_: noise)(source, size, loss)
    if worst:
        return np.where(noise < ndtri(LACKING), np.nan, own), other
    sides = [np.where(source.random(size) < LACKING, np.nan, each) for each in (own, other)]
    return sides[0], sides[1]


def unequal(source: np.random.Generator, size: Size, loss: float) -> Pairs:
    """Return events per exposure at rate 3, each side with exposures of its own that vary tenfold."""
    own, other = (0.2 + source.gamma(2.0, 0.5, size) for _ in range(2))
    return source.poisson(3 * (1 + loss) * own) / own, source.poisson(3 * other) / other


ATTENDED, LOWER = STRIKES * (CALM - STRUCK) / CALM, Direction.LOWER
SHAPES: Mapping[str, Shape] = {
    "normal": Shape(draw=beside(np.random.Generator.standard_normal)),
    "correlated 0.98": Shape(draw=correlated(0.98)),
    "correlated −0.5": Shape(draw=correlated(-0.5)),
    "heavy (t, 3 df)": Shape(draw=beside(lambda s, size: s.standard_t(3, size))),
    "skewed down (exponential)": Shape(draw=beside(lambda s, size: 1 - s.standard_exponential(size))),
    "skewed up (exponential)": Shape(draw=beside(lambda s, size: s.standard_exponential(size) - 1)),
    "bimodal, even": Shape(draw=beside(lambda s, size: s.choice([-1.0, 1.0], size) + 0.2 * s.standard_normal(size))),
    "bimodal, 1 in 5 bad": Shape(draw=beside(catastrophe(5))),
    "bounded, both alike": Shape(draw=lambda *at: bounded(*at, erratic=False)),
    "bounded, candidate erratic": Shape(draw=lambda *at: bounded(*at, erratic=True)),
    "zero-inflated events, both": Shape(draw=lambda *at: zero_inflated(*at, alike=True), direction=LOWER),
    "zero-inflated events, candidate": Shape(draw=lambda *at: zero_inflated(*at, alike=False), direction=LOWER),
    "unequal exposure": Shape(draw=unequal, direction=LOWER),
    "5 % missing, dropped": Shape(draw=lacking, missing="drop"),
    "5 % missing, worst": Shape(draw=lacking, missing="worst"),
    "candidate's worst 5 % missing, dropped": Shape(draw=lambda *at: lacking(*at, worst=True), missing="drop"),
    "candidate's worst 5 % missing, worst": Shape(draw=lambda *at: lacking(*at, worst=True), missing="worst"),
    "catastrophe in 1 of 20": Shape(draw=beside(catastrophe(20))),
    "catastrophe in 1 of 40": Shape(draw=beside(catastrophe(40))),
    "catastrophe in 1 of 100": Shape(draw=beside(catastrophe(100))),
    "wipe-outs in 1 of 40, both": Shape(draw=lambda *at: wiped_out(*at, alike=True), direction=LOWER),
    "wipe-outs in 1 of 40, candidate": Shape(draw=lambda *at: wiped_out(*at, alike=False), direction=LOWER),
    "strikes in 3 %, both": Shape(draw=lambda *at: striking(*at, alike=True), tolerance=ATTENDED),
    "strikes in 3 %, candidate": Shape(draw=lambda *at: striking(*at, alike=False), tolerance=ATTENDED),
}
