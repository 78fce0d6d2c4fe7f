"""`townlet push`: a bundle arrives whole in a folder or in a repository, and nothing else is overwritten."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import bundle_in, complaint, content
from townlet.cli import run_command
from townlet.store import folders


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with real weights and a card."""
    return bundle_in(tmp_path)


def test_it_arrives_whole_in_a_new_folder(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the parents it needs; once more changes nothing, and nothing else lies beside it."""
    target = tmp_path / "share" / "policies" / "one"
    assert 0 == run_command(["push", str(bundle), str(target)])
    assert content(bundle) == content(target)
    assert "README.md (33 B)" in capsys.readouterr().out
    assert 0 == run_command(["push", str(bundle), str(target)])
    assert "unchanged" in capsys.readouterr().out
    assert ["one"] == [path.name for path in target.parent.iterdir()]


def test_another_bundle_is_replaced_only_with_force(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of the old one that the new one lacks is gone then."""
    target = tmp_path / "target"
    shutil.copytree(bundle, target)
    (target / "README.md").write_text("older")
    (target / "act.py").write_text("older")
    before = content(target)
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "add --force" in complaint(capsys)
    assert before == content(target)
    assert 0 == run_command(["push", str(bundle), str(target), "--force"])
    assert content(bundle) == content(target)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_no_bundle_is_never_overwritten(
    bundle: Path, tmp_path: Path, force: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with a file of somebody's, a file, a link to a folder."""
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    shutil.copytree(bundle, folder)
    (folder / "notes.txt").write_text("mine")
    file.write_text("mine")
    (tmp_path / "empty").mkdir()
    link.symlink_to(tmp_path / "empty")
    for target in (folder, file, link):
        assert 2 == run_command(["push", str(bundle), str(target), *force])
    assert "holds notes.txt, which is no part of a bundle" in complaint(capsys)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "README.md").write_text("mine")
    (folder / "notes.txt").unlink()
    (folder / "sub" / "sub").mkdir(parents=True)
    for target, why in ((tmp_path / "page", "is no bundle: it lacks policy.safetensors"), (folder, "holds sub/sub/")):
        assert 2 == run_command(["push", str(bundle), str(target), *force])
        assert why in complaint(capsys)
    assert (folder / "sub" / "sub").is_dir()
    (folder / "notes.txt").write_text("mine")
    assert "mine" == (tmp_path / "page" / "README.md").read_text()
    assert ("mine", "mine") == ((folder / "notes.txt").read_text(), file.read_text())
    assert [] == list((tmp_path / "empty").iterdir())


def test_what_is_pushed_must_be_a_bundle_that_acts_as_it_did(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder, no card, a link out of the folder, weights that are damaged: nothing is written."""
    target = tmp_path / "target"
    assert 2 == run_command(["push", str(tmp_path / "nothing"), str(target)])
    assert "is no policy; expected" in complaint(capsys)
    (bundle / "passwords").symlink_to("/etc/hostname")
    assert 2 == run_command(["push", str(bundle), str(target)])
    (bundle / "passwords").unlink()
    weights = (bundle / "policy.safetensors").read_bytes()
    first = 8 + int.from_bytes(weights[:8], "little")  # of the actor: tensors stand in the order of their names
    damaged = bytes(byte ^ 64 for byte in weights[first : first + 64])
    (bundle / "policy.safetensors").write_bytes(weights[:first] + damaged + weights[first + 64 :])
    assert 2 == run_command(["push", str(bundle), str(target)])
    (bundle / "policy.safetensors").write_bytes(weights)
    (bundle / "spec.json").write_text('{"layers": 9}')
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "spec.json: says something else of inputs and outputs than policy.safetensors" in complaint(capsys)
    (bundle / "spec.json").unlink()
    (bundle / "README.md").unlink()
    assert 2 == run_command(["push", str(bundle), str(target)])
    assert "the model card" in complaint(capsys)
    assert not target.exists()


def test_a_folder_that_cannot_be_written_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    """A file in the place of the parent."""
    (tmp_path / "file").write_text("")
    assert run_command(["push", str(bundle), str(tmp_path / "file" / "target")]) in (2, 4)
    assert "" == (tmp_path / "file").read_text()


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=repr)
def test_whatever_interrupts_it_leaves_what_was_there(
    bundle: Path, tmp_path: Path, step: int, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file and at each rename: the old bundle whole or the new one, and nothing beside it."""
    target, count = tmp_path / "target", itertools.count()
    shutil.copytree(bundle, target)
    (target / "README.md").write_text("older")
    before = content(target)

    def interrupted(call: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            if next(count) == step:
                raise fault
            call(*arguments)

        return run

    for name in ("write_new", "move"):
        monkeypatch.setattr(folders, name, interrupted(getattr(folders, name)))
    try:
        code = run_command(["push", str(bundle), str(target), "--force"])
    except SystemExit as end:
        code = int(str(end.code))
    assert (code == 0) == (step > 3)
    assert (content(bundle) if step > 3 else before) == content(target)
    assert ["bundle", "home", "target"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("word", ["hf://me", "hf://me/a/b", "hf://", "hf://me/../x"])
def test_a_repository_has_an_owner_and_a_name(bundle: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Other words after ``hf://`` are refused before anything is read."""
    assert 2 == run_command(["push", str(bundle), word, "--yes"])
    assert "expected hf://USER/NAME" in complaint(capsys)
