"""`townlet bench ppo` measures what it says, anywhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from townlet.cli import run_command
from townlet.errors import BadInputError
from townlet.policy.training import bench_products
from townlet.policy.training.bench_host import bench_host, sgemm_speed
from townlet.policy.training.bench_products import PPOShapes, product_seconds
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


def test_a_weight_gradient_is_the_same_in_blocks() -> None:
    """The last block is what is left."""
    x, y = np.arange(900, dtype=np.float32).reshape(300, 3), np.ones((300, 2), np.float32)
    total, part = np.empty((3, 2), np.float32), np.empty((3, 2), np.float32)
    for block in (128, 299, 300):
        bench_products._sum_blocks(x, y, block, total, part)
        assert (x.T @ y == total).all()


def test_the_host_says_what_speed_depends_on() -> None:
    """Processor, vector instructions, cache, kernel, threads, versions: none is empty, all are in its sentence."""
    host = bench_host()
    values = host.model_dump()

    assert all(str(value) in str(host) for value in values.values())
    assert all(values.values())
    assert (sgemm_speed(2) > 0).all()


@pytest.mark.torch
def test_the_command_prints_both_clocks(capsys: pytest.CaptureFixture[str]) -> None:
    """The shares of an iteration's parts are a whole, and a large product is the measure of its arithmetic."""
    assert 0 == measured("--json")

    result = json.loads(capsys.readouterr().out)
    assert 3 == result["rounds"]
    assert 2 * 8 * 4 == result["shapes"]["worlds"] * result["shapes"]["agents"] * result["shapes"]["num_steps"]
    for clock in (result["clock"], result["processor"]):
        assert clock["environment"] + clock["acting"] + clock["update"] == pytest.approx(1, abs=0.2)
        assert 0 < clock["least"] <= clock["samples"] <= clock["most"]
        assert 0 < clock["of_sgemm"] < 1
        assert clock["gflops"] == pytest.approx(result["flops_per_sample"] * clock["samples"] * 1e-9)


@pytest.mark.torch
def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The table names schedule, machine and each measurement."""
    assert 0 == measured()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ppo of quickstart on cpu: town/")
    assert any(line.startswith("the products alone would take ") for line in lines)


def test_a_schedule_without_ppo_is_refused() -> None:
    """There is nothing to measure."""
    from townlet.policy.training.bench_ppo import ppo_options
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

    plan = PolicyTrainingOrchestrator(Path(__file__).parents[3] / "schedules" / "bc_only.yaml").plan()
    with pytest.raises(BadInputError, match="no state has the strategy ppo"):
        ppo_options(plan)


def test_without_torch_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, before a world is made."""
    monkeypatch.setattr(base, "torch_available", lambda: False)

    assert 2 == measured()
    assert "bench ppo needs torch, which is not installed" in capsys.readouterr().err
