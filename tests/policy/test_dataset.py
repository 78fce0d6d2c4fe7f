"""Data sets: what is kept, how it is normalised, what is refused."""

import attrs
import numpy as np
import pytest
from corridor import PER_DAY, CorridorProvider

from townlet.errors import BadInputError
from townlet.policy.data.dataset import DatasetMetadata, read_dataset
from townlet.policy.training.services import Recording, RolloutCaptureService


def recorded(teacher: str = "lazy", perturbed: float = 0.1, episodes: int = 6) -> Recording:
    """Return a recording of two days in the corridor."""
    provider = CorridorProvider()
    about = provider.describe("plain")
    metadata = DatasetMetadata(
        features=about.features,
        actions=about.actions,
        environment=about.signature,
        scenario="plain",
        teacher=teacher,
        discount=about.discount,
    )
    environment = provider.make("plain", worlds=episodes, seed=5, days=2)
    capture = RolloutCaptureService()
    return capture.record(
        environment, provider.teacher("plain", teacher), 2 * PER_DAY, perturbed, metadata, lambda done: None
    )


def test_a_data_set_comes_back_as_it_was_stored() -> None:
    """Bytes → data set → bytes is the identity."""
    dataset = recorded().dataset
    assert dataset == read_dataset(dataset.to_bytes(), "d")
    assert dataset.to_bytes() == recorded().dataset.to_bytes()


def test_a_label_is_what_the_teacher_does_on_what_was_seen_before_acting() -> None:
    """Pairs are pre-action, and perturbed decisions are labelled by the teacher too."""
    recording = recorded(perturbed=0.5)
    offset, hour = recording.dataset.observations[..., 2], recording.dataset.observations[..., 3]
    expected = np.where(hour > 0, 0, np.where(offset > 0, 2, np.where(offset < 0, 1, 0)))
    assert np.array_equal(expected, recording.dataset.labels)
    assert recording.perturbed > 0


def test_without_perturbation_the_labels_were_played() -> None:
    """Nothing is changed where nothing is asked for."""
    assert 0 == recorded(perturbed=0.0).perturbed


def test_nothing_to_capture_is_refused() -> None:
    """Zero decisions are no data set."""
    provider = CorridorProvider()
    environment = provider.make("plain", worlds=1, seed=0, days=1)
    metadata = recorded().dataset.metadata
    with pytest.raises(BadInputError, match="cannot capture 0 decisions"):
        RolloutCaptureService().record(
            environment, provider.teacher("plain", "lazy"), 0, 0.0, metadata, lambda done: None
        )


def test_features_that_never_vary_are_left_in_their_unit() -> None:
    """A constant feature has scale 1, so that its noise is not blown up later."""
    mean, scale = recorded().dataset.normaliser()
    assert (1.0, 1.0) == (mean[-1], scale[-1])
    assert (scale > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": lambda a: a + np.int16(3)}, "labels outside the 3 actions"),
        ({"rewards": lambda a: a * np.float32(np.nan)}, "rewards holds numbers that are not finite"),
    ],
)
def test_an_unfit_data_set_is_refused(change: dict, message: str) -> None:
    """Contents are checked, not only shapes."""
    dataset = recorded().dataset
    damaged = attrs.evolve(dataset, **{name: edit(getattr(dataset, name)) for name, edit in change.items()})
    with pytest.raises(BadInputError, match=message):
        read_dataset(damaged.to_bytes(), "d")


def test_axes_are_checked_when_a_data_set_is_made() -> None:
    """An array of another length names itself and its neighbour."""
    dataset = recorded().dataset
    with pytest.raises(ValueError, match="axis T is 47, but 48 in observations"):
        attrs.evolve(dataset, rewards=dataset.rewards[:-1])


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"not a file"])
def test_a_file_that_is_no_data_set_is_refused(data: bytes) -> None:
    """Foreign bytes raise one clear error."""
    with pytest.raises(BadInputError, match="not a data set of this project"):
        read_dataset(data, "d")


def test_the_recorded_rewards_are_those_the_environment_tallied() -> None:
    """Nothing is earned twice or lost between the recording and the KPIs."""
    recording = recorded()
    assert recording.dataset.rewards.sum() == pytest.approx(recording.tallies.sums[0].sum())
