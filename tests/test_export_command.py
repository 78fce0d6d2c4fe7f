"""`townlet export`: the policy of a real run leaves as files that act without Townlet."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import townlet
from townlet.cli import run_command
from townlet.policy.export import bundle

GOLDEN = Path(__file__).parent / "golden" / "v1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a run of another release, whose short recording is enough here."""
    monkeypatch.setattr(bundle, "PROBE_LEAST", 500)
    return shutil.copytree(GOLDEN, tmp_path / "home")


def export(home: Path, target: Path | str, *words: str) -> int:
    """Run the command on the youngest run."""
    return run_command(["export", "latest", "--bundle", str(target), *words, "--home", str(home)])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stands on stderr, without the breaks of its lines."""
    return " ".join(capsys.readouterr().err.split())


def told(*words: str) -> "subprocess.CompletedProcess[str]":
    """Return what a command says."""
    return subprocess.run(words, capture_output=True, text=True, check=False)


NAMES = ["a b", "it's", 'say "hi"', "$(touch x); *", "größe", "-n", "two\nlines"]


@pytest.mark.parametrize("name", NAMES)
def test_the_printed_command_can_be_pasted(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the folder is called, and from any folder."""
    monkeypatch.chdir(home.parent)
    assert 0 == run_command(["export", "latest", f"--bundle={name}", "--home", str(home)])
    command = capsys.readouterr().err.partition("where numpy is: ")[2].strip()
    monkeypatch.chdir("/")
    done = told("bash", "-c", command.replace("python", shlex.quote(sys.executable), 1))
    assert "768 of 768 actions are the same" in done.stdout, done.stderr


@pytest.mark.parametrize("word", [".", "..", "/", "sub/.."])
def test_a_folder_that_cannot_be_replaced_as_a_whole_is_refused(
    word: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The present one, the one above, the root; with `--zip` and `--force` too, and from push."""
    place = home.parent / "place"
    (place / "sub").mkdir(parents=True)
    monkeypatch.chdir(place)
    for words in ([], ["--zip"], ["--force"]):
        assert 2 == export(home, word, *words)
    assert 2 == run_command(["push", "latest", word, "--home", str(home)])
    assert "Traceback" not in complaint(capsys)
    assert ["home", "place", "sub"] == sorted(path.name for path in (*home.parent.iterdir(), *place.iterdir()))


def test_an_archive_replaces_nothing_but_an_archive(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, a folder and a link of somebody's stay, with `--force` too; the archive is as readable as a folder."""
    target = home.parent / "b.zip"
    for name in ("b", "b.zip"):
        assert 0 == export(home, home.parent / name, "--zip")
    assert "unchanged" in capsys.readouterr().out
    assert [target] == [path for path in home.parent.iterdir() if path != home]
    (home.parent / "plain").write_text("")
    assert (home.parent / "plain").stat().st_mode == target.stat().st_mode
    assert 2 == export(home, target, "--zip", "--license", "mit")
    assert "add --force" in complaint(capsys)
    assert 0 == export(home, target, "--zip", "--license", "mit", "--force")
    (home.parent / "file.zip").write_text("mine")
    with zipfile.ZipFile(home.parent / "other.zip", "w") as archive:
        archive.writestr("policy.safetensors", "mine")
        archive.writestr("notes.txt", "mine")
    (home.parent / "folder.zip").mkdir()
    (home.parent / "link.zip").symlink_to(target)
    os.mkfifo(home.parent / "pipe.zip")
    for name in ("file", "other", "folder", "link", "pipe"):
        assert 2 == export(home, home.parent / name, "--zip", "--force")
        assert "name another" in complaint(capsys)
    assert "mine" == (home.parent / "file.zip").read_text()
    assert (home.parent / "link.zip").is_symlink()


def test_two_exports_at_once_leave_one_whole_bundle(home: Path) -> None:
    """The one that comes second changes nothing, or says why it could not."""
    target = home.parent / "b"
    program = "import sys; from townlet.policy.export import bundle; bundle.PROBE_LEAST = 500; "
    program += "from townlet.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
    words = ["export", "latest", "--bundle", str(target), "--home", str(home)]
    processes = [subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[1] for process in processes]
    assert {process.returncode for process in processes} <= {0, 4}
    assert not any(b"Traceback" in each for each in said)
    assert ["b", "home"] == sorted(path.name for path in home.parent.iterdir())
    done = told(sys.executable, str(target / "act.py"), "--verify")
    assert "768 of 768" in done.stdout


def test_equal_bytes_whatever_the_process_is_told(home: Path) -> None:
    """Umask, locale, zone of time and the seed of hashes enter no file."""
    program = "import os, sys; os.umask(int(sys.argv[1], 8)); from townlet.policy.export import bundle; "
    program += "bundle.PROBE_LEAST = 500; from townlet.cli import run_command; sys.exit(run_command(sys.argv[2:]))"
    contents = list[dict[str, bytes]]()
    for mask, told in (
        ("022", {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
        ("077", {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0"}),
    ):
        words = ["export", "latest", "--bundle", str(home.parent / mask), "--home", str(home)]
        subprocess.run([sys.executable, "-c", program, mask, *words], env={**os.environ, **told}, check=True)
        contents.append({path.name: path.read_bytes() for path in (home.parent / mask).iterdir()})
    assert contents[0] == contents[1]


def test_weights_without_a_run_say_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A weights file alone holds no recorded observations."""
    file = home.parent / "alone.safetensors"
    run = townlet.open_run("latest", home=home)
    file.write_bytes(run.blobs.get(str(run.state.candidate)))
    assert 2 == run_command(["export", str(file), "--bundle", str(home.parent / "b"), "--home", str(home.parent / "x")])
    said = complaint(capsys)
    assert "no recorded observations to verify a bundle on; name the home of their run with --home" in said
    assert "townlet.load_policy acts with it" in said
    assert 0 == run_command(["export", str(file), "--bundle", str(home.parent / "b"), "--home", str(home)])


@pytest.mark.long
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
