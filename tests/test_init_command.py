"""`townlet init`: a schedule that passes `check`, its numbers from a pilot; what cannot be written is said."""

from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.dto.schedule import EnvironmentSpec
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.first_schedule import FirstSchedule, first_schedule
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.pilot import Pilot

TEACHERS = {
    "gymnasium:CartPole-v1": "balance",
    "gymnasium:Pendulum-v1": "swing_up",
    "pettingzoo:mpe2.simple_spread_v3": "nearest_landmark",
}


def init(*words: str) -> int:
    """Give the command."""
    return run_command(["init", *words])


@pytest.mark.long
@pytest.mark.parametrize("environment", TEACHERS)
def test_what_it_writes_passes_check(environment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For choices, numbers and several agents; the printed commands name the file."""
    path = tmp_path / "first.yaml"
    assert 0 == init("--env", environment, "--teacher", TEACHERS[environment], "--out", str(path))
    assert f"next: townlet check {path}" in capsys.readouterr().out
    assert 0 == run_command(["check", str(path)])


def test_the_same_call_writes_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The pilot is keyed; nothing depends on how fast the machine is."""
    texts = []
    for _ in range(2):
        assert 0 == init("--env", "gymnasium:CartPole-v1", "--teacher", "balance")
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_a_file_that_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence."""
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    assert 2 == init("--env", "gymnasium:CartPole-v1", "--teacher", "balance", "--out", str(path))
    assert "exists already" in capsys.readouterr().err
    assert "mine" == path.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--env", "gymnasium:CartPole-v1", "--teacher", "balanse"),
            "did you mean 'balance'",
        ),
        (("--env", "gymnasium:CartPole-v9", "--teacher", "balance"), "cannot be made"),
        (("--env", "town", "--scenario", "small_town", "--teacher", "scripted"), "has schedules already"),
        (("--env", "gymnasium:CartPole-v1", "--teacher", "controllers:steer"), "--allow-import controllers"),
    ],
)
def test_what_cannot_be_written_is_said(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence, without a file."""
    assert 2 == init(*words)
    assert message in capsys.readouterr().err


def schedule(pilot: Pilot, **options: int) -> FirstSchedule:
    """Return the first schedule of CartPole after a pilot that went otherwise."""
    made = first_schedule(EnvironmentSpec(id="gymnasium:CartPole-v1", **options), "balance", EnvironmentSource())
    return FirstSchedule(environment=made.environment, description=made.description, teacher="balance", pilot=pilot)


@pytest.mark.parametrize(
    ("mean", "sd", "tolerance"), [(100.0, 0.0, 2.0), (-3.0, 40.0, 10.0), (0.0, 0.0, 1e-6), (5e5, 1.0, 1e4)]
)
def test_the_tolerance_is_a_share_of_the_spread_or_of_the_return(mean: float, sd: float, tolerance: float) -> None:
    """Rounded down to one digit, and never nothing."""
    pilot = Pilot(episodes=32, mean=mean, sd=sd, length=100.0, decisions_per_second=1.0)
    assert tolerance == pytest.approx(schedule(pilot).tolerance)


def test_short_episodes_leave_the_critic_to_ppo(tmp_path: Path) -> None:
    """Where every captured return is cut, bc fits no critic: the run would hold."""
    pilot = Pilot(episodes=32, mean=20.0, sd=1.0, length=20.0, decisions_per_second=1.0)
    path = tmp_path / "short.yaml"
    path.write_text(schedule(pilot, max_steps=20).text())
    options = PolicyTrainingOrchestrator(path).plan().options
    assert 0 == options["bc"].value_epochs  # type: ignore[attr-defined]
