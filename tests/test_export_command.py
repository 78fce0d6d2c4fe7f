"""`townlet export`: the policy of a real run leaves as files that act without Townlet."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import townlet
from townlet.cli import run_command


@pytest.mark.long
@pytest.mark.torch
def test_the_policy_of_a_run_acts_as_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed command verifies it as it stands; a second export changes nothing; push takes the run itself."""
    home, folder = tmp_path / "home", tmp_path / "a bundle"
    assert 0 == run_command(["run", "cartpole", "--home", str(home), "--quiet"])
    capsys.readouterr()
    words = ["export", "cartpole@champion", "--bundle", str(folder), "--onnx", "--home", str(home)]
    assert 0 == run_command(words)
    said = capsys.readouterr()
    assert "model.onnx" in said.out
    command = shlex.split(" ".join(said.err.split()).partition("where numpy is: ")[2])
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=True)
    assert "1024 of 1024 actions are the same" in done.stdout
    assert 0 == run_command(words)
    assert "unchanged" in capsys.readouterr().out

    policy = townlet.load_policy(folder)
    assert policy.digest == townlet.load_policy("registry:cartpole@champion", home=home).digest
    assert json.loads((folder / "provenance.json").read_text())["subject"][0]["digest"]["sha256"] == policy.digest
    assert policy.act(np.zeros(4)) in (0, 1)
    assert "no action differs" in (folder / "README.md").read_text()

    assert 0 == run_command([*words[:2], "--bundle", str(folder), "--zip", "--home", str(home)])
    assert (tmp_path / "a bundle.zip").is_file()
    assert 0 == run_command(["push", "cartpole@champion", str(tmp_path / "shared"), "--home", str(home)])
    assert (folder / "act.py").read_bytes() == (tmp_path / "shared" / "act.py").read_bytes()
