"""Samples of earlier releases as demonstrations: features by name, actions by name, what is missing says nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from corridor import Corridor, CorridorProvider
from hypothesis import given
from hypothesis import strategies as st

from townlet.errors import BadInputError
from townlet.policy.data.demonstrations import Demonstrations, demonstrations_of_samples
from townlet.policy.data.samples import samples_to_trajectories
from townlet.policy.model.initialise import fresh_layers, without_inputs
from townlet.store.samples import ReplaySample, read_sample

ABOUT = CorridorProvider(Corridor).describe("plain")
STAY, *_ = ABOUT.actions.outputs
T = 4


def older(
    folder: Path, features: dict[str, float], lookup: dict[str, int], actions: list[int], name: str = "a"
) -> Path:
    """Write a sample as an earlier release would: each feature has one value, all seven arrays."""
    names = [*features, *(each for each in ("rivalry_max", "rivalry_avoid_count") if each not in features)]
    values = [features.get(each, 0.0) for each in names]
    path = folder / f"{name}.npz"
    np.savez(
        path,
        map=np.zeros((len(actions), 1, 1, 1), np.float32),
        features=np.tile(np.array(values, np.float32), (len(actions), 1)),
        actions=np.array(actions),
        old_log_probs=np.zeros(len(actions), np.float32),
        rewards=np.arange(len(actions), dtype=np.float32),
        value_preds=np.zeros(len(actions), np.float32),
        dones=np.arange(len(actions)) == len(actions) - 1,
    )
    path.with_suffix(".json").write_text(json.dumps({"feature_names": names, "action_lookup": json.dumps(lookup)}))
    return path


def demonstrated(*paths: Path) -> Demonstrations:
    """Return what the corridor learns from samples."""
    return demonstrations_of_samples([read_sample(path) for path in paths], ABOUT)


@given(order=st.permutations(ABOUT.features), numbers=st.permutations(range(len(ABOUT.actions.outputs))))
def test_features_and_actions_are_matched_by_name(
    order: list[str], numbers: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In whatever order a release wrote its columns, and whatever numbers it gave its actions."""
    lookup = dict(zip(ABOUT.actions.outputs, numbers, strict=True))
    value = {name: float(ABOUT.features.index(name)) for name in order}
    found = demonstrated(older(tmp_path_factory.mktemp("older"), value, lookup, numbers))
    assert () == found.missing
    assert list(range(len(ABOUT.features))) == found.dataset.observations[0, 0, 0].tolist()
    assert list(range(len(numbers))) == found.dataset.labels[:, 0, 0, 0].tolist()
    assert found.dataset.terminations[-1].all()


def test_a_feature_that_one_sample_lacks_is_missing_from_all(tmp_path: Path) -> None:
    """Widths differ between releases; nothing is stacked by position."""
    first, second, *_ = ABOUT.features
    found = demonstrated(
        older(tmp_path, dict.fromkeys(ABOUT.features, 1.0), {STAY: 0}, [0] * T),
        older(tmp_path, {second: 2.0, first: 1.0}, {STAY: 0}, [0] * 2, "b"),
    )
    assert ABOUT.features[2:] == found.missing
    assert [1.0, 2.0] == found.dataset.observations[0, 1, 0, :2].tolist()
    assert not found.dataset.observations[..., 2:].any()
    assert [T, 2] == found.dataset.alive.sum((0, 2)).tolist()


def test_actions_that_an_older_release_wrote_as_json_are_known_by_their_kind(tmp_path: Path) -> None:
    """As in ``{"kind": "wait"}``."""
    found = demonstrated(older(tmp_path, {ABOUT.features[0]: 1.0}, {json.dumps({"kind": STAY}): 5}, [5] * T))
    assert 0 == found.dataset.labels.max()


@pytest.mark.parametrize(
    ("features", "lookup", "message"),
    [
        ({"hunger": 1.0}, {STAY: 0}, "none of its features is one that corridor shows"),
        ({ABOUT.features[0]: 1.0}, {}, "holds 0 in row 0, which action_lookup does not name; expected names of"),
        ({ABOUT.features[0]: 1.0}, {"fly": 0}, "holds 0 in row 0, fly, which corridor has not; expected names of"),
    ],
)
def test_what_cannot_be_aligned_is_refused(
    features: dict[str, float], lookup: dict[str, int], message: str, tmp_path: Path
) -> None:
    """Naming the file, what was found and what was expected."""
    path = older(tmp_path, features, lookup, [0] * T)
    with pytest.raises(BadInputError, match=message) as caught:
        demonstrated(path)
    assert str(path) in str(caught.value)


def test_no_accepted_sample_is_nothing_to_learn_from() -> None:
    """For bc as for ppo."""
    for convert in (demonstrations_of_samples, samples_to_trajectories):
        with pytest.raises(BadInputError, match="holds no accepted sample"):
            convert([], ABOUT)


def test_ppo_does_not_learn_from_older_samples(tmp_path: Path) -> None:
    """Their log-probabilities belong to a policy that this version cannot know."""
    sample: ReplaySample = read_sample(older(tmp_path, {ABOUT.features[0]: 1.0}, {STAY: 0}, [0] * T))
    with pytest.raises(BadInputError, match="ppo learns from the play of this version's weights, bc from older"):
        samples_to_trajectories([sample], ABOUT)


def test_what_was_never_seen_has_no_weight() -> None:
    """The clone ignores it; all other weights are as they were drawn."""
    layers = fresh_layers(np.random.default_rng(3), (3, 8, 2), 0.01)
    (weight, _), *rest = without_inputs(np.array([False, True, False]), layers)
    assert not weight[1].any()
    assert np.array_equal(layers[0][0][[0, 2]], weight[[0, 2]])
    assert rest[0] is layers[1]
    assert without_inputs(np.zeros(3, np.bool_), layers) is layers
