"""Data sets round-trip, normalise features and refuse invalid files."""

import attrs
import numpy as np
import pytest
from corridor import PER_DAY, CorridorProvider

from townlet.errors import BadInputError
from townlet.policy.data.dataset import DatasetMetadata, flatten, read_dataset
from townlet.policy.training.services import Recording, RolloutCaptureService


def recorded(teacher: str = "lazy", perturbed: float = 0.1, episodes: int = 6) -> Recording:
    """Return a recording of two days in the corridor."""
    provider = CorridorProvider()
    about = provider.describe("plain")
    metadata = DatasetMetadata(
        features=about.features,
        actions=about.actions.outputs,
        heads=about.actions.stored_heads,
        environment=about.signature,
        scenario="plain",
        teacher=teacher,
        discount=about.discount,
    )
    environment = provider.make("plain", worlds=episodes, seed=5, max_steps=48)
    capture = RolloutCaptureService()
    return capture.record(
        environment, provider.teacher("plain", teacher), 2 * PER_DAY, perturbed, metadata, lambda done: None
    )


def test_a_data_set_round_trips() -> None:
    """Bytes → data set → bytes is the identity."""
    dataset = recorded().dataset
    assert dataset == read_dataset(dataset.to_bytes(), "d")
    assert dataset.to_bytes() == recorded().dataset.to_bytes()


def test_a_label_is_the_teachers_action_on_the_observation_before_it() -> None:
    """Pairs are pre-action, and the teacher labels perturbed decisions too."""
    recording = recorded(perturbed=0.5)
    offset, hour = recording.dataset.observations[..., 2], recording.dataset.observations[..., 3]
    expected = np.where(hour > 0, 0, np.where(offset > 0, 2, np.where(offset < 0, 1, 0)))
    assert np.array_equal(expected[..., None], recording.dataset.labels)
    assert recording.perturbed_decisions > 0


def test_without_perturbation_the_labels_are_the_actions_played() -> None:
    """A share of 0 perturbs no decision."""
    assert 0 == recorded(perturbed=0.0).perturbed_decisions


def test_a_capture_of_zero_decisions_is_refused() -> None:
    """A data set has at least one decision."""
    provider = CorridorProvider()
    environment = provider.make("plain", worlds=1, seed=0, max_steps=24)
    metadata = recorded().dataset.metadata
    with pytest.raises(BadInputError, match="cannot capture 0 decisions"):
        RolloutCaptureService().record(
            environment, provider.teacher("plain", "lazy"), 0, 0.0, metadata, lambda done: None
        )


def test_the_normaliser_has_the_bits_of_numpys_mean_and_deviation() -> None:
    """Over living agents, of more rows than one block holds."""
    dataset, rng = recorded().dataset, np.random.default_rng(1)
    shape = (7, 40, 11)
    arrays = {
        name: np.zeros((*shape, *getattr(dataset, name).shape[3:]), getattr(dataset, name).dtype)
        for name in ("observations", "action_mask", "labels", "alive", "rewards", "terminations")
    }
    arrays["observations"] = rng.normal(3, 2, arrays["observations"].shape).astype(np.float32)
    arrays["alive"] = rng.random(shape) < 0.7
    larger = attrs.evolve(dataset, **arrays)
    living = larger.observations[larger.alive]
    assert len(living) > 1024

    mean, scale = larger.normaliser()
    assert living.mean(0, dtype=np.float64).astype(np.float32).tobytes() == mean.tobytes()
    assert living.std(0, dtype=np.float64).astype(np.float32).tobytes() == scale.tobytes()


def test_samples_are_the_chosen_decisions_of_the_episodes_in_their_order() -> None:
    """Decision by decision, and within it the episodes as they are listed."""
    dataset = recorded().dataset
    episodes = np.arange(dataset.alive.shape[1])[::-1]
    width = dataset.observations.shape[-1]
    samples = flatten(dataset, episodes, np.zeros(width, np.float32), np.ones(width, np.float32))
    unforced = dataset.unforced[:, episodes]
    expected = np.clip(dataset.observations[:, episodes][unforced], -10, 10)
    assert expected.tobytes() == samples.features.tobytes()
    assert len(expected) == len(samples.labels) == len(samples.action_mask)


def test_a_constant_feature_keeps_its_unit() -> None:
    """Its scale is 1, so that later noise is not amplified."""
    mean, scale = recorded().dataset.normaliser()
    assert (1.0, 1.0) == (mean[-1], scale[-1])
    assert (scale > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": lambda a: a + np.int16(3)}, "labels holds an action outside the 3 actions"),
        ({"rewards": lambda a: a * np.float32(np.nan)}, "rewards holds numbers that are not finite"),
    ],
)
def test_an_invalid_data_set_is_refused(change: dict, message: str) -> None:
    """Values are checked, not only shapes."""
    dataset = recorded().dataset
    damaged = attrs.evolve(dataset, **{name: edit(getattr(dataset, name)) for name, edit in change.items()})
    with pytest.raises(BadInputError, match=message):
        read_dataset(damaged.to_bytes(), "d")


def test_axes_are_checked_when_a_data_set_is_created() -> None:
    """The error names the array of another length and the one it differs from."""
    dataset = recorded().dataset
    with pytest.raises(ValueError, match="axis T is 47, but 48 in observations"):
        attrs.evolve(dataset, rewards=dataset.rewards[:-1])


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"not a file"])
def test_another_file_is_refused_as_a_data_set(data: bytes) -> None:
    """Other bytes raise BadInputError."""
    with pytest.raises(BadInputError, match="not a data set of this project"):
        read_dataset(data, "d")


def test_recorded_rewards_add_up_to_the_environments_tallies() -> None:
    """No reward is counted twice or lost between the recording and the KPIs."""
    recording = recorded()
    assert recording.dataset.rewards.sum() == pytest.approx(recording.tallies.sums[0].sum())
