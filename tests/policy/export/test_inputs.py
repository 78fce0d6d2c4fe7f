"""The programs of a bundle read observations as the environment has them, and refuse what is none."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from untrained import PAIRS, SEEN, policy_of

import townlet
from townlet.env.spaces import layouts_of
from townlet.errors import BadInputError
from townlet.policy.export import act, inputs
from townlet.policy.export.bundle import BundleSpec, layout
from townlet.policy.model.policy import Policy

NODE = shutil.which("node")
CART = spaces.Discrete(2)


def random_space(rng: np.random.Generator, depth: int = 2) -> spaces.Space[Any]:
    """Return a space of any kind that a policy can see, nested up to a depth."""
    shape = tuple(map(int, rng.integers(1, 4, rng.integers(0, 3))))
    kind = rng.integers(6 if depth else 4)
    if kind == 0:
        dtype = [np.float32, np.float64, np.uint8, np.int64][rng.integers(4)]
        return spaces.Box(0, 200, shape, dtype)
    if kind == 1:
        return spaces.Discrete(int(rng.integers(1, 5)), start=int(rng.integers(-3, 4)))
    if kind == 2:
        counts = rng.integers(1, 5, shape or (2,))
        return spaces.MultiDiscrete(counts, start=rng.integers(-3, 4, counts.shape))
    if kind == 3:
        return spaces.MultiBinary(shape or 3)
    parts = [random_space(rng, depth - 1) for _ in range(rng.integers(1, 4))]
    return spaces.Tuple(parts) if kind == 4 else spaces.Dict({f"{'ab c'[i:]}": part for i, part in enumerate(parts)})


def spec_of(policy: Policy) -> dict[str, Any]:
    """Return what `spec.json` says of a policy, read from its text."""
    spec: dict[str, Any] = json.loads(json.dumps(layout(policy.weights, BundleSpec())))
    return spec


def stacked(values: list[Any]) -> Any:
    """Return observations as one, whose arrays have a leading axis."""
    if isinstance(values[0], dict):
        return {key: stacked([each[key] for each in values]) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(stacked(list(parts)) for parts in zip(*values, strict=True))
    return np.stack([np.asarray(each) for each in values])


def plain(value: Any) -> Any:
    """Return an observation as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, tuple) else np.asarray(value).tolist()


@given(seed=st.integers(0, 2**32))
def test_numpy_alone_reads_observations_of_any_space(seed: int) -> None:
    """One and a batch give the features that the policy was trained on, bit by bit."""
    space = random_space(np.random.default_rng(seed))
    space.seed(seed)
    policy, seen = policy_of(space, CART), [space.sample() for _ in range(3)]
    layouts, spec = layouts_of(space, CART, "e"), spec_of(policy)
    expected = np.stack([layouts.observations.flatten(each) for each in seen])
    assert expected.tolist() == [inputs.features(spec, each)[0].tolist() for each in seen]
    assert expected.tolist() == inputs.features(spec, stacked(seen)).tolist()


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript_reads_observations_of_any_space(tmp_path: Path) -> None:
    """Objects and nested arrays, as JSON brings them."""
    cases, expected = list[Any](), list[Any]()
    for seed in range(300):
        space = random_space(np.random.default_rng(seed))
        space.seed(seed)
        seen, policy = space.sample(), policy_of(space, CART)
        cases.append({"spec": spec_of(policy), "seen": plain(seen)})
        expected.append(layouts_of(space, CART, "e").observations.flatten(seen).astype(float).tolist())
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    found = json.loads(node(tmp_path, "cases.map(({ spec, seen }) => features(spec, seen).map(Math.fround))"))
    assert expected == found


def node(folder: Path, expression: str) -> str:
    """Return the JSON of an expression over `cases` and what `inputs.mjs` and `act.mjs` export."""
    read, run = (json.dumps(str(Path(act.__file__).with_name(name))) for name in ("inputs.mjs", "act.mjs"))
    program = (
        f"import {{ readFileSync }} from 'node:fs'; import {{ features, legal }} from {read};"
        f"import {{ Policy, tensors }} from {run};"
        "const fails = (call) => { try { call(); return ''; } catch (error) { return error.message; } };"
        f"const cases = JSON.parse(readFileSync({json.dumps(str(folder / 'cases.json'))}));"
        f"console.log(JSON.stringify({expression}));"
    )
    (folder / "program.mjs").write_text(program)
    done = subprocess.run([str(NODE), str(folder / "program.mjs")], capture_output=True, text=True, check=False)
    assert "" == done.stderr
    return done.stdout


def bundle_of(policy: Policy, folder: Path) -> Path:
    """Return a folder with the files that acting needs."""
    (folder / "spec.json").write_text(json.dumps(spec_of(policy)))
    (folder / "policy.safetensors").write_bytes(policy.weights.to_bytes())
    return folder


@pytest.mark.parametrize("name", PAIRS)
def test_the_program_acts_as_the_policy_does(name: str, tmp_path: Path) -> None:
    """On raw observations, one and a batch: the same columns."""
    policy = policy_of(*PAIRS[name])
    PAIRS[name][0].seed(0)
    alone, seen = act.Policy(bundle_of(policy, tmp_path)), [PAIRS[name][0].sample() for _ in range(64)]
    layouts = layouts_of(*PAIRS[name], "e")
    heads = len(layouts.action.spec.discrete)
    actions = alone.act(stacked(seen))
    for each, row in zip(seen, actions, strict=True):
        native = policy.act(each)
        options = layouts.action.from_native(native)[:heads] + [head["start"] for head in alone.spec["discrete"]]
        assert options.tolist() == row[:heads].tolist() == alone.act(each)[0, :heads].tolist()
    numbers = layouts.action.spec.to_native(
        layouts.action.from_native_rows(policy.act(stacked(seen)), 64)[:, heads:].astype(np.float32)
    )
    np.testing.assert_allclose(numbers, actions[:, heads:], rtol=1e-4, atol=1e-4)


BAD_OBSERVATIONS = {
    "nothing": None,
    "text": "left",
    "another structure": np.zeros(9),
    "a lost part": {"position": np.zeros((2, 2)), "gear": 0},
    "another shape": {"position": np.zeros(4), "gear": 0, "lamps": np.zeros(2)},
    "a lamp too many": {"position": np.zeros((2, 2)), "gear": 0, "lamps": np.zeros(3)},
    "an unknown option": {"position": np.zeros((2, 2)), "gear": 2, "lamps": np.zeros(2)},
    "half an option": {"position": np.zeros((2, 2)), "gear": 0.5, "lamps": np.zeros(2)},
    "no number": {"position": np.array([[0, np.nan], [0, 0]]), "gear": 0, "lamps": np.zeros(2)},
    "words": {"position": np.array([["a", "b"], ["c", "d"]]), "gear": 0, "lamps": np.zeros(2)},
    "a missing number": {"position": np.array([[None, 1], [0, 0]]), "gear": 0, "lamps": np.zeros(2)},
    "batches of two sizes": {"position": np.zeros((3, 2, 2)), "gear": np.zeros(2, int), "lamps": np.zeros((3, 2))},
    "one and a batch": {"position": np.zeros((3, 2, 2)), "gear": 0, "lamps": np.zeros((3, 2))},
}


@pytest.mark.parametrize("name", BAD_OBSERVATIONS)
def test_what_is_no_observation_is_refused(name: str, tmp_path: Path) -> None:
    """By the policy in one sentence, by the program with an error; neither acts on it."""
    policy = policy_of(*PAIRS["dict"])
    with pytest.raises(BadInputError, match=r"observation"):
        policy.act(BAD_OBSERVATIONS[name])
    with pytest.raises((ValueError, KeyError, TypeError, IndexError)):
        act.Policy(bundle_of(policy, tmp_path)).act(BAD_OBSERVATIONS[name])


ROWS = [None, "left", np.zeros(3), np.zeros(5), np.zeros((3, 1)), np.full(4, np.nan), np.array(list("abcd")), {}, 1.0]
ROWS += [np.array([None] * 4), np.zeros(4, complex), np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]), np.zeros((2, 2))]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_what_is_no_row_of_features_is_refused(row: Any, tmp_path: Path) -> None:
    """A row of one number does not become one of four, and what is no number gets no action."""
    policy = policy_of(*PAIRS["cart"])
    with pytest.raises(BadInputError, match="observation"):
        policy.act(row)
    with pytest.raises((ValueError, KeyError, TypeError, IndexError)):
        act.Policy(bundle_of(policy, tmp_path)).act(row)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_huge_numbers_act_and_an_empty_batch_is_one(tmp_path: Path) -> None:
    """The normaliser clips: what is larger than single precision holds, infinity too, is as large as it can be."""
    for name in PAIRS:
        policy = policy_of(*PAIRS[name])
        alone, space = act.Policy(bundle_of(policy, tmp_path)), PAIRS[name][0]
        empty = stacked([space.sample()])
        empty = {key: each[:0] for key, each in empty.items()} if isinstance(empty, dict) else empty
        empty = tuple(each[:0] for each in empty) if isinstance(empty, tuple) else empty
        empty = empty[:0] if isinstance(empty, np.ndarray) else empty
        assert (0, len(alone.spec["discrete"]) + len(alone.spec["box"])) == alone.act(empty).shape
        policy.act(empty)
        assert (0,) == policy.value(empty).shape
    policy = policy_of(*PAIRS["cart"])
    alone = act.Policy(bundle_of(policy, tmp_path))
    for most in (1e30, 1e39, 1e300, np.inf):
        huge = np.array([most, -most, -0.0, 0.0])
        assert policy.act(huge) == policy.act(huge[None])[0] == alone.act(huge)[0, 0]


def test_a_mask_that_allows_nothing_is_refused(tmp_path: Path) -> None:
    """No forbidden action is ever returned."""
    policy = policy_of(*PAIRS["heads"])
    alone, mask = act.Policy(bundle_of(policy, tmp_path)), np.ones(15, np.bool_)
    mask[3:8] = False
    for seen, legal in ((np.zeros(5), mask), (np.zeros((2, 5)), np.stack([np.ones(15), mask]))):
        with pytest.raises(BadInputError, match="allows no option of the head"):
            policy.act(seen, legal)
        with pytest.raises(BadInputError, match="allows no option of the head"):
            policy.act(seen, legal, deterministic=False, rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match="allows a head nothing"):
            alone.act(seen, legal)
    with pytest.raises(ValueError, match="expected 15 options for each of 2 observations"):
        alone.act(np.zeros((2, 5)), np.ones((2, 1)))


def test_a_mask_that_is_a_part_of_the_observation_counts(tmp_path: Path) -> None:
    """Environments of PettingZoo show it there; a mask that is given takes its place."""
    seen = spaces.Dict({"action_mask": spaces.MultiBinary(4), "observation": spaces.Box(-1, 1, (3,))})
    policy = policy_of(seen, spaces.Discrete(4))
    alone = act.Policy(bundle_of(policy, tmp_path))
    for only in range(4):
        mask = np.eye(4, dtype=np.int8)[only]
        shown = {"observation": np.zeros(3, np.float32), "action_mask": mask}
        assert only == policy.act(shown) == alone.act(shown)[0, 0] == policy.predictor().predict(shown)[0]
        assert 3 == np.isclose(policy.logits(shown), -1e9).sum()
        batch = {"observation": np.zeros((2, 3), np.float32), "action_mask": np.stack([mask, mask])}
        assert [only] * 2 == policy.act(batch).tolist() == alone.act(batch)[:, 0].tolist()
        assert 3 - only == policy.act(shown, mask[::-1]) == alone.act(shown, mask[::-1])[0, 0]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript_refuses_what_numpy_refuses(tmp_path: Path) -> None:
    """It throws; a mask in the observation counts there too."""
    policy = policy_of(*PAIRS["dict"])
    rows = [each for name, each in BAD_OBSERVATIONS.items() if name not in ("batches of two sizes", "a lamp too many")]
    cases = [None if name is None else plain(name) if not isinstance(name, str) else name for name in rows]
    text = json.dumps({"spec": spec_of(policy), "seen": cases}).replace("NaN", "null")
    (tmp_path / "cases.json").write_text(text)
    weights = {"normaliser.mean": {"data": [0] * len(policy.spec.features)}, "normaliser.scale": {"data": [1]}}
    expression = (
        f"cases.seen.map((each) => fails(() => new Policy(cases.spec, {json.dumps(weights)}).act(each)) !== '')"
    )
    assert [True] * len(cases) == json.loads(node(tmp_path, expression))
    heads = spec_of(policy_of(*PAIRS["heads"]))
    (tmp_path / "cases.json").write_text(json.dumps(heads))
    found = json.loads(
        node(tmp_path, "[[], Array(14).fill(1), Array(15).fill(0)].map((mask) => fails(() => legal(cases, mask)))")
    )
    assert [True] * 3 == ["expected 15" in message for message in found]


def test_the_observations_of_a_loaded_bundle_are_read_the_same_way(tmp_path: Path) -> None:
    """A Discrete as a number, an image as an array of bytes."""
    image = spaces.Box(0, 255, (4, 4, 3), np.uint8)
    for space in (spaces.Discrete(5, start=2), image, SEEN):
        policy = policy_of(space, CART)
        folder = bundle_of(policy, tmp_path)
        space.seed(1)
        seen = space.sample()
        assert townlet.load_policy(folder).act(seen) == act.Policy(folder).act(seen)[0, 0]
