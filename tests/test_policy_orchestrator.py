"""The façade: every method delegates to a strategy and returns a frozen result; fakes take any place."""

import json
import re
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from corridor import CorridorProvider, Walker
from corridor_schedules import GUARDED, LEARNS, write
from scripted import Script, write_three_rounds

import townlet
from townlet.dto.policy import AnnealSummary, BCTrainingResult, CaptureResult, PPOTrainingResult, TrainingResult
from townlet.dto.train import TrainRequest
from townlet.errors import BadInputError, HoldError, StrategyFailedError
from townlet.policy.compat.legacy import legacy_payload
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.services import ReplayDatasetService, RolloutCaptureService, TrainingServices
from townlet.policy.training_orchestrator import PolicyTrainingOrchestrator as Shim
from townlet.store.blobs import BlobStore

ROLLOUTS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: corridor, scenario: plain, worlds: 4}
teacher: lazy
registry: {name: plays}
initial: capture
states: {capture: {strategy: capture, with: {episodes: 4, days: 1}, next: [{to: done}]}}
"""


def facade(folder: Path, text: str = ROLLOUTS, **changes: object) -> PolicyTrainingOrchestrator:
    """Return the façade of a corridor schedule."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plays.yaml"
    path.write_text(text, encoding="utf-8")
    found = PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=folder / "home")
    return attrs.evolve(found, **changes)


def scripted(folder: Path, script: Script | None = None) -> PolicyTrainingOrchestrator:
    """Return the façade of three scripted rounds."""
    strategies = (script or Script()).strategies()
    return PolicyTrainingOrchestrator(write_three_rounds(folder), home=folder / "home", strategies=strategies)


def test_the_old_name_is_the_same_class() -> None:
    """A shim, nothing else."""
    assert Shim is PolicyTrainingOrchestrator


def test_an_anneal_walks_from_capture_to_promotion(tmp_path: Path) -> None:
    """Fake strategies, the real engine, journal and registry."""
    summary = scripted(tmp_path).run_anneal()
    assert ("done", True, "PASS") == (summary.state, summary.champion_moved, summary.status)
    assert ["capture", "bc", *["ppo", "evaluate"] * 3, "promote"] == [stage.state for stage in summary.stages]


def test_bc_alone_is_capture_and_bc(tmp_path: Path) -> None:
    """The mode keeps two states and answers with the clone."""
    orchestrator = scripted(tmp_path)
    result = orchestrator.run_bc_training()
    assert isinstance(result, BCTrainingResult)
    assert {"mode", "manifest", "loss", "accuracy"} == set(legacy_payload(result))
    assert 0.95 == legacy_payload(result)["accuracy"]


def test_ppo_alone_is_one_state(tmp_path: Path) -> None:
    """A fake ppo answers; the schedule that was walked has one state."""
    result = scripted(tmp_path).run_ppo(epochs=2)
    assert isinstance(result, PPOTrainingResult)
    (walked,) = (tmp_path / "home").glob("runs/*/schedule.yaml")
    text = walked.read_text()
    assert "iterations: 2" in text
    assert 1 == text.count("strategy:")


def test_a_capture_can_be_looked_at_frame_by_frame(tmp_path: Path) -> None:
    """Transitions of all worlds, the trajectory of the first."""
    orchestrator = facade(tmp_path)
    assert () == orchestrator.transitions == orchestrator.trajectory
    result = orchestrator.capture_rollout(ticks=6)
    assert isinstance(result, CaptureResult)
    assert (4 * 6, 6) == (len(orchestrator.transitions), len(orchestrator.trajectory))
    assert list(range(6)) == [frame.decision for frame in orchestrator.trajectory]
    assert orchestrator.trajectory == orchestrator.transitions[:6]
    assert 6 == legacy_payload(result)["timesteps"]


def test_no_ticks_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A clear error and no home."""
    with pytest.raises(BadInputError, match="--rollout-ticks is 0; expected at least 1"):
        facade(tmp_path).capture_rollout(ticks=0)
    assert not (tmp_path / "home").exists()


def test_saved_play_can_be_replayed(tmp_path: Path) -> None:
    """Sample by sample and as a data set."""
    orchestrator = facade(tmp_path)
    orchestrator.capture_rollout(save_dir=tmp_path / "saved")
    whole = orchestrator.run_replay_dataset(tmp_path / "saved" / "rollout_sample_manifest.json", batch_size=3)
    assert [3, 3, 2] == [batch.batch_size for batch in whole.batches]
    one = orchestrator.run_replay(tmp_path / "saved" / "rollout_0001_000.npz")
    assert ("rollout_0001_000.npz", 24, True) == (
        one.samples[0].sample, one.samples[0].timesteps, one.samples[0].accepted
    )  # fmt: skip
    assert {"batch", "batch_size", "feature_dim"} < set(legacy_payload(whole)["summaries"][0])
    assert whole.baseline["reward_sum"] == pytest.approx(sum(f.rewards.sum() for f in _frames(orchestrator)))


def _frames(orchestrator: PolicyTrainingOrchestrator) -> tuple[object, ...]:
    orchestrator.capture_rollout()
    return orchestrator.transitions


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    """The directory holds one already."""
    orchestrator = facade(tmp_path)
    orchestrator.capture_rollout(save_dir=tmp_path / "saved")
    with pytest.raises(BadInputError, match="holds a capture already"):
        orchestrator.capture_rollout(save_dir=tmp_path / "saved")


def test_services_can_be_replaced(tmp_path: Path) -> None:
    """A fake service records instead of the built-in one."""
    heard: list[int] = []

    class Counting(RolloutCaptureService):
        def record(self, *arguments: object, **more: object) -> object:
            heard.append(1)
            return super().record(*arguments, **more)

    replay = ReplayDatasetService(BlobStore(tmp_path / "home" / "blobs"))
    facade(tmp_path, services=TrainingServices(capture=Counting(), replay=replay)).capture_rollout()
    assert [1] == heard


def test_a_strategy_that_fails_is_told_with_its_run(tmp_path: Path) -> None:
    """StrategyFailedError with the reason and the run directory."""

    class Broken:
        name, requires_torch = "capture", False

        def prepare(self, context: TrainingContext) -> None:
            """Refuse nothing."""

        def run(self, context: TrainingContext) -> TrainingResult:
            raise RuntimeError("the camera fell over")

    with pytest.raises(StrategyFailedError, match=r"the camera fell over .*runs"):
        facade(tmp_path, strategies={"capture": Broken()}).capture_rollout()


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (TrainRequest(mode="replay"), "needs a data set"),
        (TrainRequest(mode="replay", capture_dir="a", replay_manifest="b"), "contradict each other"),
        (TrainRequest(mode="replay", capture_dir="nowhere"), "not a capture directory"),
        (TrainRequest(mode="replay", replay_manifest="nowhere.json"), "nowhere.json: cannot be read"),
        (TrainRequest(mode="bc", replay_seed=3), "means nothing in --mode bc"),
        (TrainRequest(mode="bc", bc_manifest="m.json", rollout_ticks=3), "captures nothing"),
        (TrainRequest(ppo_mini_batch_size=4, ppo_num_mini_batches=4), "contradict each other"),
        (TrainRequest(ppo_normalize_advantages=True, ppo_no_normalize_advantages=True), "contradict each other"),
        (TrainRequest(ppo_log_frequency=5), "name one with --ppo-log"),
        (TrainRequest(mode="rollout", epochs=0), "expected at least 1"),
        (TrainRequest(mode="replay", replay_manifest="m.json", epochs=3), "--train-ppo is not given"),
        (TrainRequest(mode="rollout"), "no state runs ppo"),
        (TrainRequest(mode="bc"), "no state runs bc"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    request_: TrainRequest, complaint: str, tmp_path: Path
) -> None:
    """One clear sentence that names the flag."""
    with pytest.raises(BadInputError, match=re.escape(complaint)):
        facade(tmp_path).train(request_)
    assert not (tmp_path / "home").exists()


def test_flags_take_the_place_of_options(tmp_path: Path) -> None:
    """The schedule that the run keeps says so, and is sound by itself."""
    scripted(tmp_path).train(TrainRequest(ppo_clip_param=0.3, ppo_no_normalize_advantages=True))
    (walked,) = (tmp_path / "home").glob("runs/*/schedule.yaml")
    with_ = PolicyTrainingOrchestrator(walked).plan().schedule.states["ppo"].with_
    assert {"clip_coef": 0.3, "norm_adv": False} == dict(with_)


def test_a_flag_with_an_impossible_value_is_refused_like_a_schedule(tmp_path: Path) -> None:
    """The checker sees the machine that would be walked."""
    with pytest.raises(BadInputError, match="expected a number between 0 and 1"):
        scripted(tmp_path).train(TrainRequest(ppo_gae_lambda=3.0))


def test_every_strategy_says_whether_it_can_run_here(tmp_path: Path) -> None:
    """Injected fakes count."""
    assert all(each.here for each in scripted(tmp_path).available_strategies())
    names = [each.name for each in facade(tmp_path).available_strategies()]
    assert ["capture", "replay", "bc", "ppo", "evaluate", "promote", "rollback"] == names


def test_results_speak_two_shapes(tmp_path: Path) -> None:
    """The new one comes back through the codec; the old one is plain JSON."""
    summary = scripted(tmp_path).run()
    assert {"status", "promotion", "results"} == set(json.loads(json.dumps(legacy_payload(summary))))
    assert summary.model_dump()["status"] == "PASS"


def test_notebooks_bring_an_environment_and_a_teacher(tmp_path: Path) -> None:
    """`townlet.anneal` with a teacher by name, or an object of one's own."""
    path = tmp_path / "plays.yaml"
    path.write_text(ROLLOUTS)
    named = townlet.anneal(path, environment=CorridorProvider(), teacher="straight", home=tmp_path / "a")
    own = townlet.anneal(str(path), environment=CorridorProvider(), teacher=Walker("straight"), home=tmp_path / "b")
    plain = townlet.anneal(path, environment=CorridorProvider(), home=tmp_path / "c")
    worth = [summary.stages[0].result.return_per_agent_day for summary in (named, own, plain)]
    assert worth[0] == worth[1] > worth[2]


def test_importing_townlet_is_light() -> None:
    """No heavy package before one of its names is used."""
    code = "import sys, townlet; sys.exit(bool({'numpy', 'numba', 'torch'} & set(sys.modules)))"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_a_held_walk_is_an_error_of_the_methods_for_one_strategy(tmp_path: Path) -> None:
    """Fine-tuning a champion that does not exist holds, and says so."""
    text = GUARDED.format(seed=1, scope="home", ppo="{start_from: champion, agent_steps: 100, days: 1}")
    orchestrator = facade(tmp_path, text, strategies=Script().strategies())
    with pytest.raises(HoldError, match="starts from the champion, but this run has none"):
        orchestrator.run_ppo()


@pytest.mark.slow
def test_real_strategies_clone_roll_out_and_replay(tmp_path: Path) -> None:
    """The whole way on a small real environment: what a rollout saves, a replay trains on."""
    path = write(tmp_path, GUARDED, seed=3, ppo=LEARNS, scope="home")
    orchestrator = PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=tmp_path / "home")
    taught = tmp_path / "taught"
    orchestrator.capture_rollout(ticks=48, save_dir=taught)
    clone = orchestrator.run_bc_training(manifest=taught / "rollout_sample_manifest.json")
    assert clone.heldout_accuracy > 0.97
    assert clone.manifest.endswith("rollout_sample_manifest.json")
    log, saved = tmp_path / "x.jsonl", tmp_path / "saved"
    request = TrainRequest(mode="rollout", rollout_ticks=48, epochs=2, ppo_log=str(log), rollout_save_dir=str(saved))
    summary = orchestrator.train(request)
    assert isinstance(summary, AnnealSummary)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [1, 2, 2] == [line["epoch"] for line in lines]
    assert [48, 24, 24] == [line["rollout_ticks"] for line in lines]
    capture, ppo = (stage.result for stage in summary.stages)
    assert capture.weights == ppo.parent
    assert np.isclose(capture.recorded.reward_sum, sum(f.rewards.sum() for f in orchestrator.transitions))
    replayed = orchestrator.run_ppo(epochs=2, manifest=saved / "rollout_sample_manifest.json")
    assert "replay" == orchestrator.last_epoch.stream.data_mode
    assert replayed.weights != replayed.parent
