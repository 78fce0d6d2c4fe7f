"""The table of `town.py` says which bars are met."""

import pytest
from town import rows, words

from townlet.env.bench_town import Speed


def speed(worlds: int, threads: int, part: str, steps: float, of_one: float = 1.0) -> Speed:
    """Return a measurement of so many agent-steps a second."""
    return Speed(
        worlds=worlds, agents=8, threads=threads, ticks_per_decision=1, part=part, agent_ticks=steps, agent_steps=steps,
        agent_steps_processor=steps / 2, bytes_per_step=1000.0, of_copy=0.1, of_one=of_one,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (speed(1, 1, "step", 0.41e6), "0.4 M: met"),
        (speed(1, 1, "step", 0.39e6), "0.4 M: missed"),
        (speed(1, 1, "observed", 9e6), ""),
        (speed(64, 1, "observed", 3e6), "3.0 M: met"),
        (speed(16_384, 1, "observed", 2.9e6), "3.0 M: missed"),
        (speed(64, 1, "step", 1e6), ""),
        (speed(64, 2, "step", 1e6, of_one=0.94), "0.95 × one thread: missed"),
        (speed(64, 2, "rules", 1e6, of_one=1.7), "0.95 × one thread: met"),
    ],
)
def test_a_bar_is_met_or_missed(measured: Speed, expected: str) -> None:
    """One world is asked for steps, more worlds for observed ones, and two threads for no less than one."""
    assert expected == words(measured)


def test_a_row_tells_both_clocks() -> None:
    """The speed by the clock stands before that by processor time; the gain is that of two threads."""
    expected = "| 1,024 | 2 | observed | 4.00 | 2.00 | 1.50 | 0.95 × one thread: met |"
    assert expected == rows([speed(1024, 2, "observed", 4e6, of_one=1.5)])[-1]
