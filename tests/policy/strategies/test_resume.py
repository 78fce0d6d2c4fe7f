"""A visit that is cut off goes on with the same bits, or says that it does not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from corridor import CorridorProvider, Keeping
from visits import Visits, semantic

from townlet.dto.policy import PPOTrainingResult
from townlet.env.town import TownProvider
from townlet.errors import BadInputError, StoppedError, UnfitCheckpointError
from townlet.machine.schedule.forecast import forecast
from townlet.policy.training.checkpoint import read_checkpoint
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentProvider

SMALL = """\
schedule: townlet/v1
name: small
seed: 5
environment: {{id: {id}, scenario: {scenario}, worlds: 4}}
teacher: {teacher}
registry: {{name: small}}
evidence:
  quick: {{episodes: [20], days: 1, confidence: 99%, seeds: fixed}}
  full: {{episodes: [20, 30, 40], days: 1, confidence: 95%}}
baselines: {{teacher: {{policy: teacher}}}}
guards:
  better: {{metric: evaluate.return_per_agent_day, better_by: {{baseline: teacher, absolute: 0}}, evidence: full}}
initial: capture
states:
  capture: {{strategy: capture, with: {{episodes: 6, days: 2}}, next: [{{to: bc}}]}}
  bc:
    strategy: bc
    with: {{update_epochs: 4, patience: 9, value_epochs: 3, learning_rate: 1.0e-3, minibatch_size: 256,
           hidden_sizes: [16]}}
    next: [{{to: ppo}}]
  ppo:
    strategy: ppo
    with: {ppo}
    next: [{{to: evaluate}}]
  evaluate: {{strategy: evaluate, next: [{{to: done, when: [better]}}, {{to: done}}]}}
"""
PPO = (
    "{iterations: 5, num_steps: 12, days: 1, learning_rate: 1.0e-3, minibatch_size: 128, checkpoint_every: 2, "
    "watch: {every: 150, evidence: quick}, "
    "ramps: [{actor: [[0, 0], [100, 0], [200, 1]], anchor_kl: [[0, 0.05]], bc_weight: [[0, 0.1]]}]}"
)
MAKERS: dict[str, tuple[Callable[[], EnvironmentProvider], str, str]] = {
    "town": (TownProvider, "small_town", "scripted"),
    "corridor": (CorridorProvider, "plain", "lazy"),
    "keeping": (lambda: CorridorProvider(kind=Keeping), "plain", "lazy"),
}


def _visits(folder: Path, kind: str) -> Visits:
    make, scenario, teacher = MAKERS[kind]
    known = "town" if kind == "town" else "corridor"
    ppo = PPO if kind == "town" else PPO.replace("1.0e-3", "1.0e-5")  # corridors are short: a step more is a cliff
    text = SMALL.format(id=known, scenario=scenario, teacher=teacher, ppo=ppo)
    visits = Visits(folder, make(), text)
    dataset = visits.whole("capture").blobs["dataset"]
    visits.inputs |= {"dataset": dataset}
    return visits


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    """A small town, captured and cloned."""
    visits = _visits(tmp_path_factory.mktemp("town"), "town")
    clone = visits.whole("bc").weights
    assert clone is not None
    visits.inputs |= {"clone": clone, "start": clone}
    return visits


def _points(visits: Visits) -> list[dict[str, object]]:
    """Return the metric stream."""
    return [json.loads(line) for line in visits.metrics.read_text(encoding="utf-8").splitlines()]


def test_the_forecast_of_the_disk_is_near_what_visits_leave(tmp_path: Path) -> None:
    """The clone, the fine-tuned weights and every checkpoint: within a factor of two."""
    visits = _visits(tmp_path, "town")
    told = forecast(visits.plan, catalogue(), TownProvider().describe("small_town"))
    disk = {state.state: state.disk for state in told.states}
    for state in ("bc", "ppo"):
        before = visits.blobs.size()
        visits.inputs |= {"start": visits.whole(state).weights or ""}
        assert 0.5 < disk[state] / (visits.blobs.size() - before) < 2.0


@pytest.mark.parametrize("boundaries", [1, 2])
def test_ppo_cut_off_at_every_iteration_learns_the_same_bits(town: Visits, boundaries: int) -> None:
    """On the town: weights and every number of the result, with watch, anchor, demonstrations and ramps."""
    town.metrics.unlink()
    whole = town.whole("ppo")
    stream = _points(town)
    town.metrics.unlink()
    again, processes = town.cut("ppo", boundaries)
    assert semantic(whole) == semantic(again)
    assert () == again.flags
    assert {1: 5, 2: 3}[boundaries] == processes
    assert stream == _points(town)


@pytest.mark.parametrize("checkpoint", [0, 1])
def test_ppo_killed_anywhere_goes_on_from_its_last_checkpoint(town: Visits, checkpoint: int) -> None:
    """What came after a checkpoint is done again, with the same bits; one is kept every 2 of 5 iterations."""
    town.metrics.unlink()
    whole = town.whole("ppo")
    assert [2, 4] == [step for step, _ in town.saved]
    stream = _points(town)
    assert semantic(whole) == semantic(town.process("ppo", 2, town.saved[checkpoint][1], None))
    assert stream == _points(town)


def test_a_fresh_start_cut_off_at_every_iteration_learns_the_same_bits(town: Visits) -> None:
    """Without a clone the parent itself is in the checkpoint; its first look at the town is not played again."""
    fresh = evolve(town, inputs={})
    assert semantic(fresh.whole("ppo")) == semantic(fresh.cut("ppo")[0])


def test_bc_cut_off_at_every_epoch_clones_the_same_bits(town: Visits) -> None:
    """Four passes of the actor, three of the critic: seven processes."""
    whole = town.whole("bc")
    assert [1, 2, 3, 4, 5, 6] == [step for step, _ in town.saved]
    again, processes = town.cut("bc")
    assert semantic(whole) == semantic(again)
    assert 7 == processes


@pytest.mark.parametrize("checkpoint", range(6))
def test_bc_killed_anywhere_goes_on_from_its_last_checkpoint(town: Visits, checkpoint: int) -> None:
    """The passes after it are made again, with the same bits, and reported once."""
    town.metrics.unlink()
    whole, stream = town.whole("bc"), _points(town)
    assert semantic(whole) == semantic(town.process("bc", 2, town.saved[checkpoint][1], None))
    assert stream == _points(town)


def test_evaluate_cut_off_at_every_look_finds_the_same_evidence(town: Visits) -> None:
    """Three looks, and no episode is played twice: the table's digest and every measurement agree."""
    judged = evolve(
        town, inputs=town.inputs | {"candidate": town.inputs["clone"]}, baseline_digests={"teacher": "teacher:scripted"}
    )
    whole = judged.whole("evaluate")
    again, processes = judged.cut("evaluate")
    assert semantic(whole) == semantic(again)
    assert 3 == processes


def test_capture_that_is_asked_to_stop_begins_again(town: Visits) -> None:
    """A data set is recorded in one go: no checkpoint, and the same digest from the start."""
    whole = town.whole("capture")
    with pytest.raises(StoppedError, match="without a checkpoint"):
        town.process("capture", 1, None, 2)
    assert [] == town.saved
    assert whole.blobs == town.process("capture", 2, None, None).blobs


def test_without_checkpoints_a_visit_begins_again(tmp_path: Path) -> None:
    """`checkpoint_every: 0` promises none, and says so in the result."""
    visits = _visits(tmp_path, "corridor")
    options = dict(visits.plan.options)
    options["ppo"] = evolve(options["ppo"], checkpoint_every=0, watch=None)  # type: ignore[call-arg]
    visits.plan = evolve(visits.plan, options=options)
    with pytest.raises(StoppedError, match="without a checkpoint"):
        visits.process("ppo", 1, None, 2)
    assert [] == visits.saved
    result = visits.whole("ppo")
    assert isinstance(result, PPOTrainingResult)
    assert "none" == result.resumable


def _ppo(visits: Visits, *, cut: bool) -> PPOTrainingResult:
    result = visits.cut("ppo")[0] if cut else visits.whole("ppo")
    assert isinstance(result, PPOTrainingResult)
    assert 5 == result.iterations
    return result


def test_a_foreign_environment_that_offers_a_snapshot_is_resumed_exactly(tmp_path: Path) -> None:
    """The promise in the result is probed."""
    visits = _visits(tmp_path, "keeping")
    whole, again = _ppo(visits, cut=False), _ppo(visits, cut=True)
    assert "exact" == whole.resumable
    assert semantic(whole) == semantic(again)


def test_a_foreign_environment_without_a_snapshot_is_resumed_exactly(tmp_path: Path) -> None:
    """Each checkpoint ends the running episodes, whether the process goes on or is another one."""
    visits = _visits(tmp_path, "corridor")
    whole, again = _ppo(visits, cut=False), _ppo(visits, cut=True)
    assert "exact" == whole.resumable
    assert semantic(whole) == semantic(again)


def test_a_stop_waits_for_the_checkpoint_that_ends_the_episodes(tmp_path: Path) -> None:
    """Without snapshots one that was not due would end episodes that go on in an undisturbed visit."""
    visits = _visits(tmp_path, "corridor")
    whole = _ppo(visits, cut=False)
    assert [2, 4] == [step for step, _ in visits.saved]
    visits.saved.clear()
    with pytest.raises(StoppedError, match="after step 4"):
        visits.process("ppo", 1, None, 3)
    assert [2, 4] == [step for step, _ in visits.saved]
    assert semantic(whole) == semantic(visits.process("ppo", 2, visits.saved[-1][1], None))


def test_a_checkpoint_of_another_strategy_or_version_is_refused(town: Visits) -> None:
    """One sentence that names the checkpoint."""
    town.whole("ppo")
    data = town.blobs.get(town.saved[0][1])
    with pytest.raises(BadInputError, match="a checkpoint of ppo, expected one of bc"):
        read_checkpoint(data, "bc", "checkpoint x")
    later = data.replace(b'\\"schema\\":1', b'\\"schema\\":2')
    assert data != later
    with pytest.raises(BadInputError, match="checkpoint x: not a checkpoint that this version reads"):
        read_checkpoint(later, "ppo", "checkpoint x")
    with pytest.raises(BadInputError, match="not a checkpoint"):
        read_checkpoint(data[: len(data) // 2], "ppo", "checkpoint x")


def test_a_snapshot_of_another_version_is_no_failure_of_the_visit(town: Visits) -> None:
    """The town refuses it, and the visit stays open with what there is to do."""
    town.whole("ppo")
    data = town.blobs.get(town.saved[0][1])
    later = data.replace(b"townlet-town/1", b"townlet-town/9")
    assert data != later
    with pytest.raises(UnfitCheckpointError, match=r"ppo cannot go on: .*use the Townlet that wrote it.*stays open"):
        town.process("ppo", 2, town.blobs.put(later), None)


@pytest.mark.parametrize("kind", ["keeping", "corridor"])
def test_worlds_that_the_teacher_drives_are_resumed_too(tmp_path: Path, kind: str) -> None:
    """A visit with a decaying teacher share ends with the same bits, with snapshots and without."""
    visits = _visits(tmp_path, kind)
    spec = visits.plan.options["ppo"]
    ramp = evolve(spec.ramps[0], teacher_share=((0.0, 0.75), (300.0, 0.0)))  # type: ignore[attr-defined]
    options = {**visits.plan.options, "ppo": evolve(spec, ramps=(ramp,))}  # type: ignore[call-arg]
    visits.plan = evolve(visits.plan, options=options)
    whole, again = _ppo(visits, cut=False), _ppo(visits, cut=True)
    assert whole.weights == again.weights
