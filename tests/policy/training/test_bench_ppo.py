"""`townlet bench ppo` measures what it says, anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.dto.codec import structure
from townlet.errors import BadInputError
from townlet.machine.schedule.overrides import parse_overrides
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training import bench_host as bench_host_module
from townlet.policy.training.bench_host import bench_host, peak_memory, sgemm_speed
from townlet.policy.training.bench_ppo import PPOBench, PPOSpeed, bench_table, ppo_options
from townlet.policy.training.bench_products import PPOShapes, product_seconds
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies import base

SHAPES = PPOShapes(
    worlds=2, agents=3, features=5, outputs=7, num_steps=4, update_epochs=2, minibatch_size=8, hidden_sizes=(11, 13)
)
SMALL = ["environment.worlds=2", "states.ppo.with.num_steps=4", "states.ppo.with.minibatch_size=32"]


def measured(*words: str) -> int:
    """Run the command at small sizes, as short as it can be; return its exit code."""
    small = [word for value in SMALL for word in ("--set", value)]
    return run_command(["bench", "ppo", "quickstart", "--seconds", "0", *small, *words])


def test_the_products_are_those_of_acting_and_of_every_pass() -> None:
    """2·rows·in·out each: acting forward; per pass forward and weight gradients, and inputs above the first layer."""
    actor, critic = (5 * 11, 11 * 13, 13 * 7), (5 * 11, 11 * 13, 13 * 1)
    rows = 2 * 3 * 4
    acting = 2 * rows * sum(actor)
    one_pass = 2 * rows * (2 * sum(actor + critic) + sum(actor[1:] + critic[1:]))

    assert acting + 2 * one_pass == sum(product.flops for product in SHAPES.products())
    assert (acting + 2 * one_pass) / rows == SHAPES.flops_per_sample


def test_products_take_time_on_both_clocks() -> None:
    """Blocks of rows that are smaller than a minibatch are tried for the gradients of weights, and nothing else."""
    seconds = product_seconds(SHAPES, 2)

    assert (2,) == seconds.shape
    assert (seconds > 0).all()


def test_the_host_says_what_speed_depends_on() -> None:
    """Processor, vector instructions, cache, kernel, threads, versions: none is empty, all are in its sentence."""
    host = bench_host()
    values = host.model_dump()

    assert all(str(value) in str(host) for value in values.values())
    assert all(values.values())
    assert (sgemm_speed(2) > 0).all()


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells of children")
def test_memory_counts_what_children_hold() -> None:
    """A worker that holds 200 MB is seen while it runs."""
    alone = peak_memory()
    program = "import sys; held = bytearray(b'x') * 200_000_000; print('holds', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert b"holds\n" == child.stdout.readline()
        both = peak_memory()
        child.stdin.close()

    assert both > alone + 200_000_000


def test_the_command_measures_by_both_clocks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares of an iteration's parts are a whole; the table has a line for each measurement."""
    monkeypatch.setattr(bench_host_module, "_SGEMM_SIZE", 256)
    assert 0 == measured("--json")

    result = structure(json.loads(capsys.readouterr().out), PPOBench)
    assert 3 == result.rounds
    assert 2 * 8 * 4 == result.shapes.rows
    for speed in (result.clock, result.processor):
        assert speed.environment + speed.acting + speed.update == pytest.approx(1, abs=0.2)
        assert 0 < speed.least <= speed.samples <= speed.most
        assert speed.gflops == pytest.approx(result.flops_per_sample * speed.samples * 1e-9)
    lines = bench_table(result).splitlines()
    assert lines[0].startswith("ppo of quickstart on cpu: town/")
    assert str(result.host) == lines[1]
    assert any(line.startswith("the products alone would take ") for line in lines)


def test_where_a_gpu_learns_the_processors_products_are_not_its_measure() -> None:
    """Their shares are left out of the table."""
    speed = PPOSpeed(
        samples=1.0, least=1.0, most=1.0, environment=0.5, acting=0.25, update=0.25, gflops=1.0, sgemm=None,
        of_sgemm=None, products=None,
    )  # fmt: skip
    result = PPOBench(
        schedule="a", environment="b/c", device="cuda: d", host=bench_host(), threads=2, shapes=SHAPES, rounds=3,
        flops_per_sample=1.0, sgemm_of_one=1.0, peak_memory=None, clock=speed, processor=speed,
    )  # fmt: skip

    assert "update" in bench_table(result)
    assert "alone would take" not in bench_table(result)
    assert "memory" not in bench_table(result)


def test_a_schedule_without_ppo_is_refused() -> None:
    """There is nothing to measure."""
    with pytest.raises(BadInputError, match="no state has the strategy ppo"):
        ppo_options(PolicyTrainingOrchestrator(find_schedule("bc_only")).plan())


def test_the_networks_are_the_clone_s_where_ppo_starts_from_it() -> None:
    """Widths that stand beside ppo count for a fresh start alone."""
    source = ScheduleSource.overriding(
        find_schedule("quickstart"), parse_overrides(("states.bc.with.hidden_sizes=[32, 48]",))
    )

    assert (32, 48) == ppo_options(PolicyTrainingOrchestrator(source).plan()).hidden_sizes


def test_without_torch_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GPU needs it: one sentence, before a world is made."""
    monkeypatch.setattr(base, "torch_available", lambda: False)

    assert 2 == measured("--set", "states.ppo.with.device=cuda")
    assert "bench ppo needs torch, which is not installed" in capsys.readouterr().err
