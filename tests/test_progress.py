"""Progress: one line for the whole run, what matters most first, and never ten seconds of silence in a pipe."""

import io
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from townlet.cli import run_command
from townlet.machine.schedule.forecast import forecast
from townlet.machine.schedule.remaining import least_steps_after
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import provider
from townlet.report.progress.run_progress import RunProgress
from townlet.report.terminal import Terminal, styled

QUICKSTART = Path(__file__).parents[1] / "schedules" / "quickstart.yaml"
SLOW = """\
import sys, time
from townlet.cli import run_command
from townlet.world.batch import TownBatch
step = TownBatch.step
def slow(self, actions):
    time.sleep(float(sys.argv[1]))
    return step(self, actions)
TownBatch.step = slow
sys.exit(run_command(sys.argv[2:]))
"""
PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 2}
teacher: scripted
registry: {name: plays}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 2, days: 1}, next: [{to: done}]}
"""


@frozen(kw_only=True)
class Point:
    """An iteration of ppo."""

    state: str = "ppo"
    visit: int = 1
    step: int = 4
    of: int = 90
    agent_steps: int = 98_304
    numbers: Mapping[str, float] = {"reward": 0.003343, "value_loss": 0.4, "explained_variance": 0.71}


def shown(width: int, *, point: Point | None = None, fastest: float = 5_000.0) -> str:
    """Return the live line on a terminal of this width, a minute into a visit to ppo."""
    console = Terminal(file=io.StringIO(), width=width, height=9, highlight=False)
    times = iter([0.0])
    progress = RunProgress(console, clock=lambda: next(times, 60.0))
    progress.expect({"ppo": 600_000, "evaluate": 0})
    progress.watch(point or Point())
    progress.state.fastest = fastest
    console.print(progress)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip()


def test_a_wide_line_shows_the_time_left_of_the_state_and_of_the_run() -> None:
    """86 iterations of 15 s, and then at least 600,000 agent-steps at the fastest speed so far."""
    line = shown(200)
    assert "4/90  21:30 left  run at least 23:30 left" in line
    assert line.endswith("reward 0.003343  value_loss 0.4  explained_variance 0.71")


def test_at_80_columns_metrics_go_before_bar_and_times() -> None:
    """The line ends with a whole part; nothing is cut in the middle."""
    line = shown(80)
    assert "━" in line
    assert "21:30 left  run at least 23:30 left" in line
    assert "value_loss" not in line
    assert "…" not in line
    assert "reward" not in line


@given(st.integers(min_value=1, max_value=250))
def test_the_line_fits_every_terminal(width: int) -> None:
    """It is one line, however narrow the terminal is."""
    assert 1 == len(shown(width).splitlines())
    assert len(shown(width)) <= width


def test_without_a_speed_or_a_plan_nothing_is_said_of_the_run() -> None:
    """A bound that nothing supports is not shown."""
    assert "run at least" not in shown(200, fastest=0.0, point=Point(agent_steps=0))
    assert "run at least" not in shown(200, point=Point(state="elsewhere"))


def test_the_least_work_after_a_state_is_that_of_the_shortest_way() -> None:
    """On the way capture, bc, ppo, evaluate, promote, each counts what comes after it."""
    plan = PolicyTrainingOrchestrator(QUICKSTART).plan()
    town = provider("town").describe
    environment = town(plan.schedule.environment.scenario)
    suites = {name: town(name) for evidence in plan.schedule.evidence.values() for name in evidence.scenarios}
    after = least_steps_after(plan, catalogue(), environment, suites)
    most = {state.state: state.agent_steps for state in forecast(plan, catalogue(), environment, suites).states}
    assert 0 == after["promote"]
    assert after["promote"] <= after["evaluate"] <= after["ppo"] <= after["bc"] <= after["capture"]
    assert after["bc"] - after["ppo"] <= most["ppo"]
    assert after["bc"] - after["ppo"] > 0


@pytest.mark.long
@pytest.mark.parametrize(
    "words", ["run plays.yaml", "evaluate teacher:random --episodes 2 --days 1 --scenario queue_conflict"]
)
def test_in_a_pipe_a_line_comes_at_least_every_ten_seconds(tmp_path: Path, words: str) -> None:
    """A real process, and an environment that takes its time: capture and evaluate are never silent."""
    (tmp_path / "plays.yaml").write_text(PLAYS, encoding="utf-8")
    pause = "0.13" if words.startswith("run") else "0.065"  # evaluate plays twice as many decisions
    command = [sys.executable, "-c", SLOW, pause, *words.split(), "--home", "home"]
    lines, times = [], list[float]()
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            times.append(monotonic())
    times.append(monotonic())
    assert 0 == process.returncode, lines
    assert len([line for line in lines if "left" in line or " for 0:" in line]) >= 2, lines
    assert max(later - earlier for earlier, later in pairwise(times)) < 13, lines


def test_evaluate_shows_nothing_where_it_is_quick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress is for those who wait."""
    words = ["evaluate", "teacher:random", "--episodes", "2", "--days", "1", "--scenario", "queue_conflict"]
    assert 0 == run_command([*words, "--missing", "drop", "--home", str(tmp_path)])
    assert "" == capsys.readouterr().err


def test_quiet_shows_results_and_no_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet` leaves stderr empty; stdout has the lines that it always has, and errors are still told."""
    schedule = tmp_path / "plays.yaml"
    schedule.write_text(PLAYS, encoding="utf-8")
    words = ("--quiet", "--home", str(tmp_path / "home"))
    for command in (("run", str(schedule)), ("resume", "latest"), ("train", str(schedule), "--mode", "capture")):
        assert 0 == run_command([*command, *words])
        shown = capsys.readouterr()
        assert shown.out
        assert shown.err in ("", "the run had ended before; resuming it changes nothing\n")
    assert 0 == run_command(["replicate", str(schedule), "--seeds", "1", *words])
    assert "" == capsys.readouterr().err
    assert 2 == run_command(["run", str(tmp_path / "nothing.yaml"), *words])
    assert capsys.readouterr().err.startswith("error: ")


def test_no_color_is_obeyed_on_a_terminal() -> None:
    """With NO_COLOR (no-color.org) a terminal gets no colour; without it a promotion is green."""

    def shown(**environment: str) -> str:
        stream = io.StringIO()
        environment["TERM"] = "xterm"
        console = Terminal(file=stream, force_terminal=True, color_system="standard", _environ=environment)
        console.print(styled(("promoted", "green")))
        return stream.getvalue()

    assert "\x1b[32m" in shown()
    assert "\x1b[32m" not in shown(NO_COLOR="1")
