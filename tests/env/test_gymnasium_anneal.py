"""CartPole and Pendulum go from their script through the whole machine, with tiny numbers, by the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from controllers import steer
from vector_worlds import cartpoles

from townlet import api
from townlet.cli import run_command
from townlet.dto.policy import BCTrainingResult
from townlet.errors import BadInputError
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

SCHEDULES = Path(__file__).parents[2] / "schedules"


def townlet(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run a command."""
    command = [sys.executable, "-m", "townlet", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})


@pytest.mark.parametrize("name", ["cartpole", "pendulum"])
def test_every_state_is_rehearsed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Capture, bc, ppo, evaluate, promote or rollback; the journal verifies and its decisions are derived again."""
    home = ("--home", str(tmp_path))
    assert 0 == run_command(["run", str(SCHEDULES / f"{name}.yaml"), "--rehearse", *home]), capsys.readouterr().err
    for command in ("verify", "replay"):
        assert 0 == run_command(["audit", command, "latest-rehearsal", *home]), capsys.readouterr()


def test_check_knows_the_environment() -> None:
    """Its KPIs can be named in guards, and what it promises was tried."""
    done = townlet("check", SCHEDULES / "cartpole.yaml", "--json")
    assert 0 == done.returncode, done.stderr
    (report,) = json.loads(done.stdout)["environment_reports"]
    assert {"snapshot"} == {each["promise"] for each in report["promises"] if each["outcome"] != "kept"}


def test_a_function_teaches_from_python(tmp_path: Path) -> None:
    """It sees the environment's own observation; the environment is named by its id."""
    seen = []

    def steer(observation: Any) -> int:
        seen.append(observation)
        return int(observation[2] + 0.5 * observation[3] > 0)

    summary = api.anneal(
        SCHEDULES / "cartpole.yaml", environment="gymnasium:CartPole-v1", teacher=steer, home=tmp_path, rehearse=True
    )
    assert ("done", True) == (summary.state, summary.rehearsal)
    assert {(4,)} == {np.shape(each) for each in seen}


@pytest.mark.parametrize("mode", ["Disabled", pytest.param("SameStep", marks=pytest.mark.slow)])
def test_a_vector_environment_goes_through_the_whole_machine(mode: str, tmp_path: Path) -> None:
    """A function of num_envs makes it; the numbers are those of single environments."""
    arguments: Any = {"teacher": steer, "home": tmp_path, "rehearse": True}
    vector = api.anneal(environment=partial(cartpoles, mode=mode), **arguments)
    single = api.anneal(environment=partial(gymnasium.make, "CartPole-v1"), **arguments)
    assert ("done", True) == (vector.state, vector.rehearsal)
    assert vector.weights == single.weights


@pytest.mark.long
def test_a_vector_environment_anneals_to_a_promotion(tmp_path: Path) -> None:
    """CartPole's SyncVectorEnv, without a schedule: the policy is no worse than the script, and takes its place."""
    summary = api.anneal(environment=cartpoles, teacher=steer, home=tmp_path)
    assert ("done", True) == (summary.state, summary.champion_moved)


@pytest.mark.parametrize("answer", [7, 0.5, None, "left"])
def test_a_function_that_returns_no_action_is_named_before_anything_is_written(tmp_path: Path, answer: Any) -> None:
    """The first observations are enough to see it."""

    def steer(_: Any) -> Any:
        return answer

    with pytest.raises(BadInputError, match=r"^teacher: act of ScriptTeacher (raised|chose an action that the mask)"):
        api.anneal(
            SCHEDULES / "cartpole.yaml", environment="gymnasium:CartPole-v1", teacher=steer, home=tmp_path / "home"
        )
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """`kill -9` while ppo trains, then `townlet resume`: what a run that was not killed ends with."""
    text = (SCHEDULES / "cartpole.yaml").read_text()
    for whole, short in (("agent_steps: 200000", "agent_steps: 60000"), ("episodes: 200", "episodes: 24")):
        assert whole in text
        text = text.replace(whole, short)
    text = text.replace("episodes: [48, 192]", "episodes: [20, 30]").replace("at_most: 5%", "at_most: 20%")
    (tmp_path / "short.yaml").write_text(text)
    whole = PolicyTrainingOrchestrator(tmp_path / "short.yaml", home=tmp_path / "whole").run()
    home = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "townlet", "run", tmp_path / "short.yaml", "--home", home], stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not _has_checkpoint(home, "ppo"):
        time.sleep(0.005)
    process.kill()
    assert -signal.SIGKILL == process.wait()
    done = townlet("resume", "latest", "--home", home, "--json")
    assert done.returncode in {0, 6}, done.stderr  # 6: not promoted, which the processor's arithmetic decides
    summary = json.loads(done.stdout)
    assert (whole.weights, whole.semantic_hash) == (summary["weights"], summary["semantic_hash"])


def _has_checkpoint(home: Path, state: str) -> bool:
    """Return whether a run has stored a checkpoint of a visit to a state."""
    lines = [line for each in home.glob("runs/*/journal.jsonl") for line in each.read_text().splitlines()]
    return any('"kind":"checkpoint"' in line and f'"state":"{state}"' in line for line in lines)


CLONES_NUMBERS = """\
schedule: townlet/v1
name: numbers
seed: 1
environment: {id: "gymnasium:Pendulum-v1", worlds: 8}
teacher: swing_up
registry: {name: numbers, champion: champion}
guards: {cloned: {metric: bc.heldout_r2, at_least: 0.3}}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 40}, next: [{to: bc}]}
  bc:
    strategy: bc
    with: {update_epochs: 6, learning_rate: 2.0e-3, minibatch_size: 256, value_epochs: 0}
    next: [{to: done, when: [cloned]}, {to: hold, why: the clone is too weak}]
"""


def test_a_clone_of_numbers_is_judged_by_the_share_it_explains(tmp_path: Path) -> None:
    """The guard asks for R²; each epoch reports it in the place of the accuracy, which only choices have."""
    (tmp_path / "numbers.yaml").write_text(CLONES_NUMBERS)
    result = api.run(tmp_path / "numbers.yaml", home=tmp_path / "home")
    assert "done" == result.state, result.reason
    clone = result.stages[-1].result
    assert isinstance(clone, BCTrainingResult)
    assert clone.heldout_r2 is not None
    epochs = result.metrics("bc")
    assert clone.heldout_r2 == epochs["heldout_r2"][epochs["heldout_nll"].argmin()]
    assert 0.3 <= clone.heldout_r2 <= 1.0
    assert "heldout_accuracy" not in epochs
