"""The bench measures what it says."""

import pytest

from townlet.env.bench_town import bench, bench_table
from townlet.errors import BadInputError


def test_a_small_bench_answers_for_every_combination() -> None:
    """Each size, tick and thread count is measured in each part, and is a line of the table."""
    result = bench(worlds=(1, 2), agents=(8,), ticks=(6,), threads=(1, 2), rounds=1)
    found = [(s.worlds, s.threads, s.part) for s in result.speeds]
    parts = ("rules", "observed", "step")
    assert [*((1, 1, part) for part in parts), *((2, threads, part) for part in parts for threads in (1, 2))] == found
    assert all(s.agent_steps_processor > 0 for s in result.speeds)
    assert result.speeds[1].bytes_per_step > result.speeds[0].bytes_per_step
    assert all(s.agent_ticks == pytest.approx(6 * s.agent_steps) for s in result.speeds)
    assert 11 == len(bench_table(result).splitlines())


def test_nothing_is_measured_of_nothing() -> None:
    """Sizes below one are refused."""
    with pytest.raises(BadInputError, match="at least 1"):
        bench(worlds=(0,))
