"""A bundle acts without Townlet: its programs give the recorded actions, and equal bundles have equal bytes."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from untrained import PAIRS, policy_of

import townlet
from townlet.cli import run_command
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset, DatasetMetadata
from townlet.policy.export import act
from townlet.policy.export.bundle import BundleSpec, bundle_files, recorded_decisions, zip_bytes
from townlet.policy.model.policy import Policy

NODE = shutil.which("node")


def files_of(policy: Policy, rows: int = 1_000) -> dict[str, bytes]:
    """Return the bundle of a policy, verified on random observations and masks."""
    rng, logits = np.random.default_rng(0), policy.spec.spec.logits
    mask = rng.random((rows, logits)) < 0.6
    for options in policy.spec.spec.segments(mask):
        options[np.arange(rows), rng.integers(options.shape[1], size=rows)] = True
    probe = rng.normal(size=(rows, len(policy.spec.features))).astype(np.float32) * 4, mask
    data = policy.weights.to_bytes()
    return bundle_files(data, policy.weights, BundleSpec(), probe, card="# A card\n", provenance=None)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Return a folder with files."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def verify(*command: str) -> tuple[int, str]:
    """Return the exit code and the output of a program of a bundle."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", PAIRS)
def test_numpy_alone_gives_the_recorded_actions(name: str, tmp_path: Path) -> None:
    """In a process of its own that looks nowhere but at its files and at numpy."""
    bundle = written(tmp_path / "bundle", files_of(policy_of(*PAIRS[name])))
    code, said = verify(sys.executable, "-I", str(bundle / "act.py"), "--verify")
    assert 0 == code
    assert said.startswith("1000 of 1000 actions are the same, largest difference of an output ")


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript_gives_the_recorded_actions(name: str, tmp_path: Path) -> None:
    """In node, without a package."""
    bundle = written(tmp_path / "bundle", files_of(policy_of(*PAIRS[name])))
    assert (0, "1000 of 1000 actions are the same\n") == verify(str(NODE), str(bundle / "act.mjs"), "--verify")


def test_changed_weights_are_found(tmp_path: Path) -> None:
    """Both programs fail where the weights are those of another policy."""
    files = files_of(policy_of(*PAIRS["cart"]))
    files["policy.safetensors"] = policy_of(*PAIRS["cart"], seed=1).weights.to_bytes()
    bundle = written(tmp_path / "bundle", files)
    assert 1 == verify(sys.executable, str(bundle / "act.py"), "--verify")[0]
    assert NODE is None or 1 == verify(NODE, str(bundle / "act.mjs"), "--verify")[0]


@pytest.mark.parametrize("integer", [False, True])
def test_wide_numbers_are_verified_too(integer: bool, tmp_path: Path) -> None:
    """Bounds far apart enlarge the last bits of a mean; both programs tell them from another action."""
    wheel = spaces.Box(-20_000, 20_000, (2,), np.int32 if integer else np.float32)
    files = files_of(policy_of(spaces.Box(-9, 9, (4,)), wheel))
    bundle = written(tmp_path / "bundle", files)
    programs = [(sys.executable, "act.py"), *([] if NODE is None else [(NODE, "act.mjs")])]
    assert {0} == {verify(program, str(bundle / name), "--verify")[0] for program, name in programs}
    (bundle / "spec.json").write_text((bundle / "spec.json").read_text().replace('"half":20000.0', '"half":20000.5'))
    assert {1} == {verify(program, str(bundle / name), "--verify")[0] for program, name in programs}


@pytest.mark.parametrize("program", ["act", "inputs"])
def test_the_programs_import_numpy_and_nothing_else(program: str) -> None:
    """Each stands in at most 40 lines of code, and in JavaScript in 80 lines."""
    path = Path(act.__file__).with_name(f"{program}.py")
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"numpy"}
    docs = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    doc_lines = {line for node in docs for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(path.read_text().splitlines(), 1)
    assert 40 >= sum(bool(line.strip()) and number not in doc_lines for number, line in lines)
    assert 80 >= len(path.with_suffix(".mjs").read_text().splitlines())


def test_its_policy_acts_as_the_one_that_was_exported(tmp_path: Path) -> None:
    """`act.py` on features, `load_policy` on the folder."""
    policy = policy_of(*PAIRS["heads"])
    bundle = written(tmp_path / "bundle", files_of(policy))
    seen = np.random.default_rng(3).normal(size=(64, 5)).astype(np.float32)
    expected = policy.act(seen).tolist()
    assert (
        expected == act.Policy(bundle).act(seen).astype(int).tolist() == townlet.load_policy(bundle).act(seen).tolist()
    )


def test_equal_bundles_are_equal_archives(tmp_path: Path) -> None:
    """No time and no order enters an archive; it holds every file."""
    files = files_of(policy_of(*PAIRS["wheel"]))
    data = zip_bytes(files)
    assert data == zip_bytes(dict(reversed(files.items())))
    (tmp_path / "bundle.zip").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert sorted(files) == archive.namelist()
        assert files["spec.json"] == archive.read("spec.json")


def recording(decisions: int) -> Dataset:
    """Return a recording of one agent, in which every second decision is that of a dead one."""
    shape = (decisions, 1, 1)
    metadata = DatasetMetadata(
        features=("a",), actions=("x", "y"), environment="", scenario="", teacher="teacher:t", discount=0.9
    )
    return Dataset(
        metadata=metadata,
        observations=np.arange(decisions, dtype=np.float32).reshape(*shape, 1),
        action_mask=np.ones((*shape, 2), np.bool_),
        labels=np.zeros((*shape, 1), np.int16),
        alive=(np.arange(decisions) % 2 == 0).reshape(shape),
        rewards=np.zeros(shape, np.float32),
        terminations=np.zeros(shape, np.bool_),
    )


def test_a_probe_is_spread_over_what_living_agents_saw() -> None:
    """From the first decision to the last, none of the dead."""
    features, mask = recorded_decisions(recording(5_000))
    assert ((1_024, 1), (1_024, 2)) == (features.shape, mask.shape)
    assert (0.0, 4_998.0) == (features[0, 0], features[-1, 0])
    assert not (features % 2).any()
    with pytest.raises(BadInputError, match="recorded 500 decisions of living agents; a probe has at least 1,000"):
        recorded_decisions(recording(1_000))


def test_what_cannot_be_exported_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script, and weights that no run of the home made; nothing is written."""
    file = tmp_path / "policy.safetensors"
    file.write_bytes(policy_of(*PAIRS["cart"]).weights.to_bytes())
    for word, message in (("teacher:scripted", "is a script"), (str(file), "made these weights")):
        assert 2 == run_command(["export", word, "--bundle", str(tmp_path / "b"), "--home", str(tmp_path / "home")])
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "b").exists()
