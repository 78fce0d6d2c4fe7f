"""A bundle to push, and what a folder holds."""

import shutil
from pathlib import Path

import pytest

import townlet

GOLDEN = Path(__file__).parent / "golden" / "v1"


def bundle_in(tmp_path: Path) -> Path:
    """Return a folder with real weights and a card."""
    run = townlet.open_run("latest", home=shutil.copytree(GOLDEN, tmp_path / "home"))
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.safetensors").write_bytes(run.blobs.get(str(run.state.candidate)))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# A policy\n")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stands on stderr, without the breaks of its lines."""
    return " ".join(capsys.readouterr().err.split())
