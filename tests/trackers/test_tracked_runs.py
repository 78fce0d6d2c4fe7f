"""A run's numbers reach its trackers, under global steps, and no tracker changes a run."""

import logging
import shlex
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from corridor import CorridorProvider
from corridor_schedules import GUARDED, LEARNS, write
from recorder import Hanging, Recorder, Refusing

import townlet
from townlet.cli import run_command
from townlet.errors import BadInputError
from townlet.machine.audit.metric_stream import parse_point
from townlet.store.rundir import RunDirectory

pytestmark = pytest.mark.slow


def corridor(folder: Path, *trackers: Any, text: str = GUARDED, **arguments: Any) -> Any:
    """Run the schedule of the corridor that promotes, with trackers."""
    folder.mkdir(exist_ok=True)
    path = write(folder, text, seed=3, ppo=LEARNS, scope="home")
    environment = CorridorProvider()
    return townlet.anneal(path, environment=environment, home=folder / "home", trackers=trackers, **arguments)


def test_the_numbers_of_a_run_arrive(tmp_path: Path) -> None:
    """One run, its schedule as parameters, each iteration, each guard, each move of the alias, and the end."""
    recorder = Recorder()
    result = corridor(tmp_path, recorder)
    (run,) = recorder.runs

    assert (Path(result.path).name, "corridor", 3, False, False) == (
        run.id, run.name, run.seed, run.rehearsal, run.continued
    )  # fmt: skip
    assert ("12", "95.00%") == (
        run.parameters["states.bc.with.update_epochs"],
        run.parameters["evidence.full.confidence"],
    )
    assert [("corridor", "champion", 1)] == [(each.policy, each.alias, each.version) for each in recorder.moves]
    assert recorder.moves[0].file.is_file()
    assert ["done"] == recorder.ends
    assert 1.0 == recorder.last("gate/better/passed")
    assert recorder.last("gate/better/low") > recorder.last("gate/better/limit") == 0


def test_steps_are_agent_steps_over_all_visits(tmp_path: Path) -> None:
    """Ppo begins where capture ended; every point of training says its total, its speed and its episodes."""
    recorder = Recorder()
    result = corridor(tmp_path, recorder)
    captured, trained = (
        next(stage.result.agent_steps for stage in result.stages if stage.state == state)
        for state in ("capture", "ppo")
    )
    training = [each for each in recorder.points if "train/approx_kl" in each.numbers]

    assert captured < training[0].step < training[-1].step <= captured + trained
    assert [each.step for each in training] == [each.numbers["time/total_timesteps"] for each in training]
    assert all(each.numbers["time/fps"] > 0 for each in training)
    epochs = [each.step for each in recorder.points if "bc/train_loss" in each.numbers]
    assert list(range(1, len(epochs) + 1)) == epochs


def test_episode_returns_are_there_one_by_one(tmp_path: Path) -> None:
    """Their mean and their number are those of the point; their length is the length of whole episodes."""
    recorder = Recorder()
    corridor(tmp_path, recorder)
    with_episodes = [each for each in recorder.points if each.returns]

    assert with_episodes
    for each in with_episodes:
        assert len(each.returns) == each.numbers["rollout/episodes"]
        assert sum(each.returns) / len(each.returns) == pytest.approx(each.numbers["rollout/ep_rew_mean"])
        assert 4 * 24 == each.numbers["rollout/ep_len_mean"]


def test_a_kpi_with_a_tolerance_is_reported_by_training_too(tmp_path: Path) -> None:
    """Over the same episodes as the return, and in the stream, which says how many iterations there will be."""
    recorder = Recorder()
    calm = "{{metric: evaluate.queue_intensity, not_worse_than: {{baseline: champion, absolute: 1.0}}, evidence: full}}"
    text = GUARDED.replace("  better:", f"  calm: {calm}\n  better:", 1).replace(
        "when: [better]", "when: [better, calm]"
    )
    result = corridor(tmp_path, recorder, text=text)
    training = [each.numbers for each in recorder.points if "rollout/episodes" in each.numbers]

    with_episodes = [numbers for numbers in training if numbers["rollout/episodes"]]
    assert with_episodes
    assert with_episodes == [numbers for numbers in training if "rollout/episode_queue_intensity" in numbers]
    lines = (Path(result.path) / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    points = [point for line in lines if (point := parse_point(line)) and point.state == "ppo"]
    assert {len(points)} == {point.of for point in points}
    assert {each["rollout/episode_queue_intensity"] for each in with_episodes} == {
        value for point in points if (value := point.numbers.get("episode_queue_intensity")) is not None
    }


def test_no_tracker_changes_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hashes are equal without a tracker, with one, with one that raises and with one that hangs; two are warned of."""
    hanging = Hanging()
    plain = corridor(tmp_path / "plain")
    tracked = corridor(tmp_path / "tracked", Recorder(), Refusing(), hanging)

    assert (plain.semantic_hash, plain.weights) == (tracked.semantic_hash, tracked.weights)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["Hanging", "Refusing"] == sorted(message.split()[1] for message in warned if message.startswith("tracker "))
    hanging.let_go.set()


def test_a_resumed_run_goes_on_in_its_trackers(tmp_path: Path) -> None:
    """The second process knows the run and counts on from what the first one played."""
    first, second, states = Recorder(), Recorder(), list[int]()

    def stopping() -> bool:
        states.append(1)
        return any("bc/train_loss" in each.numbers for each in first.points)

    with pytest.raises(townlet.StoppedError):
        corridor(tmp_path, first, stopping=stopping)
    townlet.resume("latest", home=tmp_path / "home", environment=CorridorProvider(), trackers=second)

    assert ["stopped"] == first.ends
    assert (first.runs[0].id, False, True) == (second.runs[0].id, first.runs[0].continued, second.runs[0].continued)
    assert ["done"] == second.ends
    captured = next(each for each in first.points if "result/capture/agent_steps" in each.numbers)
    training = next(each for each in second.points if "train/approx_kl" in each.numbers)
    assert training.step > captured.numbers["result/capture/agent_steps"]


def test_a_schedule_names_its_trackers(tmp_path: Path) -> None:
    """The block of the schedule is enough; its options reach the tracker; `none` leaves it out."""
    pytest.importorskip("tensorboard")
    text = GUARDED + f"trackers: {{{{tensorboard: {{{{folder: {tmp_path / 'board'}}}}}}}}}\n"
    result = corridor(tmp_path, text=text, rehearse=True)
    assert [Path(result.path).name] == [each.name for each in (tmp_path / "board").iterdir()]
    corridor(tmp_path, "none", text=text, rehearse=True)
    assert 1 == len(list((tmp_path / "board").iterdir()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["tensorbord"], "unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
        (None, "trackers: NoneType; expected a name, or an object with keeps_aliases, open, log, move and close"),
        ([3], "trackers: int; expected a name, or an object with keeps_aliases, open, log, move and close"),
        (["none,tensorboard"], "--track none,tensorboard: 'none' stands alone; leave it out, or the others"),
    ],
)
def test_a_wrong_tracker_is_refused_before_anything_is_written(tmp_path: Path, given: Any, message: str) -> None:
    """A slip costs no run."""
    path = write(tmp_path, GUARDED, seed=3, ppo=LEARNS, scope="home")
    with pytest.raises(BadInputError) as refused:
        townlet.anneal(path, environment=CorridorProvider(), home=tmp_path / "home", trackers=given)
    assert message == str(refused.value)
    assert not (tmp_path / "home").exists()


def test_two_trackers_of_one_class_both_get_the_numbers(tmp_path: Path) -> None:
    """Objects are told apart, whatever their class is called."""
    first, second = Recorder(), Recorder()
    corridor(tmp_path, first, second, rehearse=True)
    assert first.steps == second.steps != []


@pytest.mark.filterwarnings("ignore")  # those of MLflow's own libraries
def test_a_promotion_that_a_tracker_did_not_take_can_be_told_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning ends with the command; pasted, it moves the alias."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from townlet.trackers.mlflow import MLflowTracker

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with monkeypatch.context() as broken:
        broken.setattr(MLflowTracker, "move", lambda *_: (_ for _ in ()).throw(OSError("no route to host")))
        corridor(tmp_path, "mlflow")
    (warning,) = [each.getMessage() for each in caplog.records if each.getMessage().startswith("tracker mlflow")]
    assert "1 move of an alias (OSError: no route to host); the run is not affected; later, tell it with: " in warning
    words = shlex.split(warning.split("tell it with: ")[1])
    assert ["townlet", "registry", "mirror", "corridor"] == words[:4]
    assert 0 == run_command(words[1:])


def test_a_slow_tracker_does_not_slow_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that takes a second for each point loses points, and is told; the run does not wait for them."""

    class Slow(Recorder):
        def log(self, points: Any) -> None:
            sleep(len(points))
            super().log(points)

    slow = Slow()
    result = corridor(tmp_path, slow)

    assert "done" == result.state
    assert any("tracker Slow did not take" in record.getMessage() for record in caplog.records)
    assert RunDirectory.find(tmp_path / "home", "latest").metrics.is_file()
