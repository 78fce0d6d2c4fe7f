"""Decisions that cannot have happened are refused with file, array and row."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.samples import SampleOrigin
from townlet.errors import BadInputError
from townlet.store.samples import read_sample

T, A = 4, 3
ORIGIN = SampleOrigin(actions=("a", "b", "c"), environment="0" * 64, scenario="s", player="1" * 64, discount=0.9)


def written(folder: Path, *, ours: bool = True, **changes: Any) -> Path:
    """Write a sample of this version with some arrays replaced, and return its path."""
    arrays: dict[str, Any] = {
        "map": np.zeros((T, 1, 1, 1), np.float32), "features": np.zeros((T, 2), np.float32),
        "actions": np.array([0, 1, 2, 0]), "old_log_probs": np.full(T, -1.0, np.float32),
        "rewards": np.zeros(T, np.float32), "value_preds": np.zeros(T + 1, np.float32), "dones": np.zeros(T, np.bool_),
        "action_mask": np.ones((T, A), np.bool_), "alive": np.ones(T, np.bool_),
    } | changes  # fmt: skip
    path = folder / "sample.npz"
    np.savez(path, **arrays)
    meta: dict[str, Any] = {"feature_names": ["rivalry_max", "rivalry_avoid_count"]}
    path.with_suffix(".json").write_text(json.dumps(meta | ({"townlet": ORIGIN.model_dump()} if ours else {})))
    return path


FORBIDDEN = np.ones((T, A), np.bool_)
FORBIDDEN[2, 2] = False
NOTHING_LEGAL = np.ones((T, A), np.bool_)
NOTHING_LEGAL[1] = False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_mask": FORBIDDEN}, "array 'actions' holds an action that array 'action_mask' forbids in row 2"),
        ({"action_mask": NOTHING_LEGAL}, "array 'action_mask' holds no legal action in row 1"),
        ({"actions": np.array([0, 1, 2**63 + 5, 0], np.uint64)}, "array 'actions' holds 9223372036854775813 in row 2"),
        ({"old_log_probs": np.array([-1, 0, 0, 0.5], np.float32)}, "holds 0.5 in row 3, a probability above 1"),
        ({"alive": np.zeros(T, np.bool_)}, "array 'alive' has no living agent in any row"),
    ],
)
def test_a_decision_that_cannot_have_happened_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The file, the array and the row are named."""
    path = written(tmp_path, **changes)
    with pytest.raises(BadInputError) as refused:
        read_sample(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@given(data=st.data())
def test_what_is_read_holds_only_decisions_that_can_have_happened(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any masks, actions, lives and log-probabilities: a refusal, or a sample that makes sense."""
    flags = st.lists(st.booleans(), min_size=T, max_size=T)
    changes = {
        "action_mask": np.array([data.draw(st.lists(st.booleans(), min_size=A, max_size=A)) for _ in range(T)]),
        "alive": np.array(data.draw(flags)),
        "actions": np.array(data.draw(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, A), min_size=T, max_size=T)),
                            np.uint64),
        "old_log_probs": np.array(data.draw(st.lists(st.floats(-9, 1, width=32), min_size=T, max_size=T)), np.float32),
    }  # fmt: skip
    path = written(tmp_path_factory.mktemp("any"), **changes)
    try:
        sample = read_sample(path)
    except BadInputError:
        return
    assert sample.action_mask is not None
    assert sample.alive is not None
    assert sample.alive.any()
    assert sample.action_mask[np.arange(T), sample.actions][sample.alive].all()
    assert (sample.old_log_probs <= 1e-5).all()
