"""Speed of the town under pytest-benchmark: ``pytest --benchmark-only tests/benchmarks/town.py``.

`townlet.env.bench_town` holds the body; nothing here asserts a time.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from townlet.env.bench_town import TownBench, bench, bench_table

SMALL = {"worlds": (64,), "agents": (8,), "threads": (1,), "rounds": 1}


@pytest.mark.parametrize("ticks", [1, 6])
def test_speed_of_small_town(benchmark: BenchmarkFixture, ticks: int) -> None:
    """64 worlds on one thread, with and without observations; the numbers stand beside pytest-benchmark's."""
    result: TownBench = benchmark.pedantic(bench, kwargs={**SMALL, "ticks": (ticks,)}, rounds=3)
    assert [False, True] == [speed.observed for speed in result.speeds]
    blind, seen = result.speeds
    assert seen.bytes_per_step > blind.bytes_per_step
    assert all(speed.agent_ticks == pytest.approx(ticks * speed.agent_steps) for speed in result.speeds)
    benchmark.extra_info["table"] = bench_table(result)
