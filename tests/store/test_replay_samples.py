"""Replay samples of earlier releases: taken as they are, and refused with file and array where they are unfit."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from townlet.errors import BadInputError
from townlet.policy.data.imported import data_spec, open_dataset
from townlet.store.arrays import read_arrays, write_arrays
from townlet.store.samples import read_sample

T, F = 5, 4
NAMES = ["hunger", "rivalry_max", "rivalry_avoid_count", "energy"]


def arrays(**changes: Any) -> dict[str, Any]:
    """Return the seven arrays of a sample of five decisions."""
    found: dict[str, Any] = {
        "map": np.zeros((T, 2, 3, 3), np.float32),
        "features": np.arange(T * F, dtype=np.float32).reshape(T, F),
        "actions": np.array([0, 1, 2, 1, 0], np.int64),
        "old_log_probs": np.full(T, -0.5, np.float32),
        "rewards": np.ones(T, np.float32),
        "value_preds": np.zeros(T + 1, np.float32),
        "dones": np.zeros(T, np.bool_),
    }
    return {name: array for name, array in (found | changes).items() if array is not None}


def sample(folder: Path, meta: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a sample as numpy would, and return its path."""
    path = folder / "sample.npz"
    np.savez(path, **arrays(**changes))
    facts = {"feature_names": NAMES, "action_lookup": json.dumps({"wait": 0}), "action_dim": 3, "agent_id": "ada"}
    path.with_suffix(".json").write_text(json.dumps(facts | (meta or {})))
    return path


def test_a_sample_is_taken_as_it_is(tmp_path: Path) -> None:
    """Names, lookup, agent and arrays."""
    found = read_sample(sample(tmp_path))
    assert (T, tuple(NAMES), "ada", {"wait": 0}) == (
        found.timesteps, found.feature_names, found.agent_id, found.action_lookup
    )  # fmt: skip
    assert [1.0, 5.0, 9.0, 13.0, 17.0] == found.column("rivalry_max").tolist()
    assert found.origin is None


def test_arrays_without_time_mean_one_decision(tmp_path: Path) -> None:
    """(C, H, W), (F,) and 0-d arrays."""
    one = {name: np.asarray(array)[0] for name, array in arrays().items()}
    found = read_sample(sample(tmp_path, **one))
    assert (1, (1, 2, 3, 3), (1, F)) == (found.timesteps, found.map.shape, found.features.shape)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rewards": None}, "array 'rewards' is missing"),
        (dict.fromkeys(("actions", "rewards", "dones")), "observation-only"),
        ({"features": np.zeros((T, 2, 2), np.float32)}, "array 'features' has shape"),
        ({"rewards": np.zeros(T + 1, np.float32)}, "array 'rewards' is 6 long; expected 5"),
        ({"value_preds": np.zeros(T + 2, np.float32)}, "array 'value_preds' is 7 long; expected 5 or 6"),
        ({"features": np.full((T, F), np.nan, np.float32)}, "array 'features' holds numbers that are not finite"),
        ({"rewards": np.full(T, 1e300)}, "array 'rewards' holds numbers that are not finite"),
        ({"actions": np.full(T, -1, np.int64)}, "negative actions"),
        ({"actions": np.full(T, 3, np.int64)}, "action_dim is 3"),
        ({"actions": np.zeros(T, np.float32)}, "array 'actions' holds float32; expected whole numbers"),
        ({"dones": np.zeros(T, np.float32)}, "array 'dones' holds float32; expected booleans"),
        ({"features": np.zeros((T, F + 1), np.float32)}, "4 different feature_names for array 'features' of width 5"),
        ({"dones": np.array([None] * T, object)}, "array 'dones': holds object"),
        ({"actions": np.zeros(0, np.int64)}, "array 'actions' is empty"),
    ],
)
def test_unfit_arrays_are_refused_by_name(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    """One error that names the file and the array."""
    path = sample(tmp_path, **changes)
    with pytest.raises(BadInputError) as refused:
        read_sample(path)
    assert complaint in str(refused.value)
    assert "sample." in str(refused.value)


@pytest.mark.parametrize(
    ("meta", "complaint"),
    [
        ({"feature_names": ["a", "b", "c", "d"]}, "lacks rivalry_max, rivalry_avoid_count"),
        ({"feature_names": NAMES[:3] + NAMES[:1]}, "3 different feature_names"),
        ({"feature_names": "hunger"}, "no list of names"),
        ({"action_lookup": "{"}, "action_lookup is not JSON"),
        ({"action_lookup": json.dumps({"wait": -1})}, "does not map names to whole numbers"),
        ({"timesteps": 7}, "timesteps is 7"),
        ({"metrics": {"reward_sum": "much"}}, "'reward_sum' is 'much'"),
        ({"metrics": [1]}, "expected a mapping of numbers"),
        ({"townlet": {"actions": ["wait"]}}, "townlet: "),
    ],
)
def test_unfit_facts_are_refused(meta: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    """The JSON is hostile too."""
    with pytest.raises(BadInputError) as refused:
        read_sample(sample(tmp_path, meta))
    assert complaint in str(refused.value)


def test_a_header_that_promises_too_much_is_never_believed(tmp_path: Path) -> None:
    """A terabyte in the header, nothing in the file: refused before anything is allocated."""
    path = tmp_path / "sample.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rewards.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(BadInputError, match="expected 8000000000000"):
        read_arrays(path.read_bytes(), path)


@given(
    st.dictionaries(
        st.text("abcdef_", min_size=1, max_size=8),
        npst.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
            npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        ),
        max_size=5,
    )
)
def test_arrays_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, found: dict[str, Any]) -> None:
    """Names, dtypes, shapes and bits; equal arrays give equal files."""
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    path.write_bytes(write_arrays(found))
    back = read_arrays(path.read_bytes(), path)
    assert set(found) == set(back)
    for name, array in found.items():
        kept = np.ascontiguousarray(array).reshape(back[name].shape)
        assert kept.dtype == back[name].dtype
        assert kept.tobytes() == back[name].tobytes()
    assert write_arrays(found) == write_arrays(found)


@given(st.binary(max_size=200))
def test_noise_is_no_sample(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    """Whatever the bytes are, the error is ours."""
    path = tmp_path_factory.mktemp("noise") / "sample.npz"
    path.write_bytes(noise)
    with pytest.raises(BadInputError):
        read_sample(path)


@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_something_finite(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One byte changed anywhere: an error of ours, or a sample that still holds together."""
    path = sample(tmp_path_factory.mktemp("damaged"))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        found = read_sample(path)
    except BadInputError:
        return
    assert np.isfinite(found.features).all()


@pytest.mark.parametrize("which", ["npz", "json"])
def test_a_streamed_sample_that_changes_after_the_data_set_was_opened_is_refused(which: str, tmp_path: Path) -> None:
    """The digest that the schedule names holds for every later reading."""
    path = sample(tmp_path)
    dataset = open_dataset(data_spec(sample=path), streaming=True)
    assert T == dataset.sample(0).timesteps
    changed = path.with_suffix(f".{which}")
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(BadInputError, match="changed since the data set was opened"):
        dataset.sample(0)
