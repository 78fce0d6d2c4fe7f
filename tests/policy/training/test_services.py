"""Services without torch: recording play, data sets from outside, and promotion as the journal tells it."""

import logging
import os
from pathlib import Path

import attrs
import numpy as np
import pytest
from corridor import AGENTS, Corridor, CorridorProvider, Walker
from scripted import DULL, GOOD, TRIPS, Script, write_three_rounds

from townlet.dto.anneal import PromotionSnapshot
from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.codec import structure
from townlet.dto.journal import Entry
from townlet.errors import BadInputError, StrategyFailedError
from townlet.policy.data.dataset import DatasetMetadata
from townlet.policy.data.imported import data_spec
from townlet.policy.data.samples import trajectories_to_samples
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.model.weights import Weights
from townlet.policy.training.data_sets import read_demonstrations
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.services import (
    PromotionServiceAdapter,
    Recording,
    ReplayDatasetService,
    RolloutCaptureService,
)
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentDescription, StubTeacher, Teacher
from townlet.rng import derive
from townlet.store.blobs import BlobStore
from townlet.store.manifest import save_samples

ABOUT = CorridorProvider().describe("plain")


class Stub:
    """Holds a teacher's place."""

    never_acts = "nobody has written it yet"

    def act(self, observations: ObservationBatchDTO) -> np.ndarray:
        """Never be asked."""
        raise AssertionError("a stub never acts")


class Deserted(Corridor):
    """A corridor in which nobody lives."""

    def reset(self, worlds: np.ndarray | None = None) -> ObservationBatchDTO:
        """Begin with empty slots."""
        seen = super().reset(worlds)
        return attrs.evolve(seen, alive=np.zeros_like(seen.alive))


class WithStub(CorridorProvider):
    """A corridor whose registered teacher `stub` never acts."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Register the stub."""
        about = super().describe(scenario)
        return attrs.evolve(about, teachers=(*about.teachers, "stub"))

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the stub by its name."""
        return Stub() if name == "stub" else super().teacher(scenario, name)


def metadata(player: str) -> DatasetMetadata:
    """Return the metadata of a recording in the corridor."""
    return DatasetMetadata(
        features=ABOUT.features, actions=ABOUT.actions.outputs, environment=ABOUT.signature, scenario="plain",
        teacher=player, discount=ABOUT.discount,
    )  # fmt: skip


def record(player: Teacher | Weights, decisions: int = 24, environment: Corridor | None = None) -> Recording:
    """Record four worlds of play."""
    environment = environment or CorridorProvider().make("plain", worlds=4, seed=1, max_steps=24)
    name = "teacher:lazy" if not isinstance(player, Weights) else "f" * 64
    return RolloutCaptureService().record(environment, player, decisions, 0.1, metadata(name), lambda _: None)


def learner() -> Weights:
    """Return fresh weights for the corridor."""
    return fresh_weights(ABOUT, (8,), np.random.default_rng(derive(3, "test")))


def test_a_stub_warns_and_captures_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the event, and the result is empty and typed."""
    assert isinstance(Stub(), StubTeacher)
    assert not isinstance(Walker("lazy"), StubTeacher)
    with caplog.at_level(logging.WARNING):
        recording = record(Stub())
    (message,) = caplog.messages
    assert message.startswith("capture_rollout_stub_policy")
    assert message.endswith("no trajectories captured")
    assert (0, 4, AGENTS, 1) == recording.dataset.labels.shape


def test_the_facade_answers_a_stub_with_an_empty_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No data set is stored, nothing can be looked at, and the walk is done all the same."""
    path = tmp_path / "stub.yaml"
    path.write_text(
        "schedule: townlet/v1\nname: stub\nseed: 1\nenvironment: {id: corridor, scenario: plain, worlds: 4}\n"
        "teacher: stub\nregistry: {name: stub}\ninitial: capture\n"
        "states: {capture: {strategy: capture, with: {episodes: 4, days: 1}, next: [{to: done}]}}\n"
    )
    orchestrator = PolicyTrainingOrchestrator(path, environments=WithStub(), home=tmp_path / "home")
    result = orchestrator.capture_rollout()
    assert (
        "capture_rollout_stub_policy teacher:stub: nobody has written it yet; no trajectories captured" in caplog.text
    )
    assert (0.0, 0.0, ("stub",), {}) == (result.episodes, result.samples, result.flags, dict(result.blobs))
    assert () == orchestrator.transitions


@pytest.mark.parametrize("decisions", [0, -3])
def test_no_ticks_are_refused(decisions: int) -> None:
    """At least one."""
    with pytest.raises(BadInputError, match="expected at least 1"):
        record(Walker("lazy"), decisions)


def test_an_empty_town_is_refused() -> None:
    """Nobody lives there, so nothing can be recorded."""
    with pytest.raises(StrategyFailedError, match="is empty: no agent lives in any of its 4 worlds"):
        record(Walker("lazy"), environment=Deserted(ABOUT, 4, 1, 1, 0))


def test_a_learners_play_knows_how_likely_it_was() -> None:
    """Log-probabilities are negative, expectations are one longer than decisions, and nothing is perturbed."""
    recording = record(learner())
    assert 0 == recording.perturbed_decisions
    assert (recording.experience.log_probs < 0).any()
    assert 25 == len(recording.experience.predictions)
    assert 0.0 == float(np.abs(record(Walker("lazy")).experience.log_probs).max())


def test_samples_belong_to_their_owner(tmp_path: Path) -> None:
    """Whatever the umask: they may lie in a home."""
    before = os.umask(0)
    try:
        save_samples(tmp_path / "samples", trajectories_to_samples(record(learner()).experience))
    finally:
        os.umask(before)
    assert {0o600} == {path.stat().st_mode & 0o777 for path in (tmp_path / "samples").iterdir()}


def test_samples_come_back_as_the_play_they_were(tmp_path: Path) -> None:
    """Written as files, read through the manifest, aligned by name: the same decisions."""
    recording = record(learner())
    manifest = save_samples(tmp_path, trajectories_to_samples(recording.experience))
    service = ReplayDatasetService(BlobStore(tmp_path / "blobs"))
    back = service.trainable(data_spec(manifest=manifest), ABOUT)
    worlds_and_agents = (24, 4 * AGENTS, 1)
    for mine, theirs in (
        (recording.experience.actions[..., 0], back.actions[..., 0]),
        (recording.experience.log_probs, back.log_probs),
        (recording.experience.rewards, back.rewards),
        (recording.experience.alive, back.alive),
    ):
        assert np.array_equal(mine.reshape(worlds_and_agents), theirs)
    assert np.array_equal(recording.dataset.observations.reshape(*worlds_and_agents, -1), back.dataset.observations)
    assert np.array_equal(recording.experience.predictions.reshape(25, 4 * AGENTS, 1), back.predictions)


def test_streaming_summarises_like_memory(tmp_path: Path) -> None:
    """The same batches, the same statistics, one sample at a time."""
    manifest = save_samples(tmp_path, trajectories_to_samples(record(learner()).experience))
    service, data = ReplayDatasetService(BlobStore(tmp_path / "blobs")), data_spec(manifest=manifest)
    held, streamed = service.open(data), service.open(data, streaming=True)
    assert streamed.loaded is None
    assert [b.summary(i) for i, b in enumerate(held.batches(3))] == [
        b.summary(i) for i, b in enumerate(streamed.batches(3))
    ]
    assert held.baseline() == streamed.baseline()
    assert float(4 * AGENTS) == held.baseline()["sample_count"]


def test_shuffling_is_seeded_and_loses_nothing(tmp_path: Path) -> None:
    """Equal seeds, equal orders; another seed, another order of the same samples."""
    data = data_spec(manifest=save_samples(tmp_path, trajectories_to_samples(record(learner()).experience)))
    found = ReplayDatasetService(BlobStore(tmp_path / "blobs")).open(data)

    def order(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [sample.agent_id for batch in found.batches(3, rng=rng) for sample in batch.samples]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))
    assert [3, 3] == [len(batch.samples) for batch in found.batches(3, drop_last=True)]


def test_a_changed_data_set_is_refused(tmp_path: Path) -> None:
    """What was pinned is what is read."""
    manifest = save_samples(tmp_path, trajectories_to_samples(record(learner()).experience))
    data = data_spec(manifest=manifest)
    one = next(tmp_path.glob("*_000.json"))
    one.write_text(one.read_text().replace('"agent_id": "', '"agent_id": "not '))
    with pytest.raises(BadInputError, match="has another digest"):
        ReplayDatasetService(BlobStore(tmp_path / "blobs")).open(data)


def test_ppo_does_not_learn_from_a_script(tmp_path: Path) -> None:
    """A teacher has no probabilities; bc takes the same samples."""
    data = data_spec(manifest=save_samples(tmp_path, trajectories_to_samples(record(Walker("lazy")).experience)))
    service = ReplayDatasetService(BlobStore(tmp_path / "blobs"))
    with pytest.raises(BadInputError, match="a script without probabilities"):
        service.trainable(data, ABOUT)
    cloned = read_demonstrations(data, CorridorProvider(Corridor), ABOUT)
    assert (24, 4 * AGENTS, 1, 1) == cloned.dataset.labels.shape
    assert () == cloned.missing


def journalled(folder: Path) -> tuple[list[Entry], PromotionServiceAdapter]:
    """Return the records of a scripted walk, and an adapter that has read none."""
    heard: list[Entry] = []
    orchestrator = PolicyTrainingOrchestrator(
        write_three_rounds(folder), home=folder / "home", listen=heard.append,
        strategies=Script(rounds=(DULL, TRIPS, GOOD)).strategies(),
    )  # fmt: skip
    orchestrator.run()
    return heard, PromotionServiceAdapter(schedule=orchestrator.plan().schedule, catalogue=catalogue())


def test_promotion_can_be_put_down_and_taken_up_after_any_record(tmp_path: Path) -> None:
    """A snapshot through plain data and back, at every place, ends as a fold without pause."""
    entries, fresh = journalled(tmp_path)
    whole = fresh.fold(entries).snapshot()
    assert ("promoted", 1, True) == (whole.state, whole.pass_streak, whole.candidate_ready)
    for cut in range(len(entries) + 1):
        plain = fresh.fold(entries[:cut]).snapshot().model_dump()
        taken_up = fresh.restore(structure(plain, PromotionSnapshot))
        assert whole == taken_up.fold(entries[cut:]).snapshot()


def test_more_passes_may_be_required_and_nothing_is_decided(tmp_path: Path) -> None:
    """The adapter only reads: with two required passes the same journal never becomes ready."""
    entries, fresh = journalled(tmp_path)
    strict = fresh.restore(PromotionSnapshot(required_passes=2)).fold(entries).snapshot()
    assert (1, False, None) == (strict.pass_streak, strict.candidate_ready, strict.candidate_ready_tick)
    assert "pass" == strict.last_result
