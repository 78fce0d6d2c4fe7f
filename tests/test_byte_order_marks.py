"""A byte order mark, which some editors put before a text, is no part of it: in no file that a user may have edited."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from townlet.cli import run_command
from townlet.store.manifest import CAPTURE_MANIFEST, CAPTURE_METRICS
from townlet.store.registry.ssh_signatures import read_signers

SCHEDULE = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 1}
teacher: scripted
registry: {name: plays}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 1, days: 1}, next: [{to: done}]}
"""


def mark(path: Path) -> None:
    """Put a byte order mark before what a file holds."""
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a schedule and the capture that `train` saved."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "plays.yaml").write_text(SCHEDULE, encoding="utf-8")
    words = ["--mode", "capture", "--rollout-save-dir", str(folder / "capture"), "--rollout-ticks", "60"]
    assert 0 == run_command(["train", str(folder / "plays.yaml"), "--home", str(folder / "home"), *words])
    return folder


def summary(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Return what `train --mode replay` prints of a data set, whatever its manifest is called."""
    command = ["train", str(folder / "plays.yaml"), "--home", str(folder / "home"), "--mode", "replay", *words]
    capsys.readouterr()
    assert 0 == run_command(command), capsys.readouterr().err
    return {key: value for key, value in json.loads(capsys.readouterr().out).items() if key != "manifest"}


def test_a_data_set_is_read_with_and_without_marks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The manifest, the metrics beside it and the JSON of every sample; a manifest in YAML; the schedule."""
    whole, yaml = ("--capture-dir", str(place / "capture")), place / "capture" / "manifest.yaml"
    without = summary(place, capsys, *whole)
    samples = json.loads((place / "capture" / CAPTURE_MANIFEST).read_text("utf-8"))
    yaml.write_text(json.dumps({**samples, "metrics": CAPTURE_METRICS}), encoding="utf-8")
    marked = [place / "plays.yaml", *(place / "capture").glob("*.json"), yaml]
    assert {CAPTURE_MANIFEST, CAPTURE_METRICS} < {path.name for path in marked}
    for path in marked:
        mark(path)

    assert without == summary(place, capsys, *whole)
    assert without == summary(place, capsys, "--replay-manifest", str(yaml))


def test_a_file_of_keys_is_read_with_a_mark() -> None:
    """Its first line is a key like the others."""
    key = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.org\n"
    assert read_signers(key, "keys") == read_signers(codecs.BOM_UTF8 + key, "keys")
