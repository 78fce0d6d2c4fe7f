"""Compiled kernels are code: they are loaded only as they were written, from a folder that only this user may write."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from townlet.compiled import cache_folder
from townlet.kernel_cache import _CheckedFiles, bytes_of, folder_for, old_folders, remove_old

KERNEL = textwrap.dedent(
    """\
    import numpy as np
    from townlet.compiled import entry_kernel

    @entry_kernel
    def double(values: np.ndarray) -> None:
        for i in range(len(values)):
            values[i] *= 2

    values = np.arange(4.0)
    double(values)
    stats = getattr(double, "stats", None)
    print(values.sum(), "hit" if stats and stats.cache_hits else "compiled")
    """
)


def program_in(folder: Path) -> Path:
    """Write a program with one kernel."""
    path = folder / "program.py"
    path.write_text(KERNEL, encoding="utf-8")
    return path


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Return a program with one kernel."""
    return program_in(tmp_path)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with what the program's kernel was compiled to."""
    root = tmp_path_factory.mktemp("compiled") / "cache"
    run(program_in(root.parent), root)
    return root


def run(program: Path, root: Path, **limits: int) -> tuple[str, str]:
    """Run a program in a process of its own with this cache, and return its output and its complaints."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))

    environment = os.environ | {"XDG_CACHE_HOME": str(root)}
    done = subprocess.run(
        [sys.executable, str(program)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        timeout=120,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip(), done.stderr


def test_an_equal_installation_elsewhere_loads_what_the_first_compiled(kernel: Path, tmp_path: Path) -> None:
    """The path says nothing about a kernel; its content does: another one of the same name is compiled, once."""
    (tmp_path / "elsewhere").mkdir()
    twin = tmp_path / "elsewhere" / kernel.name
    twin.write_bytes(kernel.read_bytes())
    assert ("12.0 compiled", "") == run(kernel, tmp_path)
    assert ("12.0 hit", "") == run(twin, tmp_path)

    twin.write_text(KERNEL.replace("*= 2", "*= 3"), encoding="utf-8")
    assert ("18.0 compiled", "") == run(twin, tmp_path)
    assert ("12.0 hit", "") == run(kernel, tmp_path)


def test_processes_that_compile_two_signatures_at_once_write_two_files(tmp_path: Path) -> None:
    """Neither saw the other's index; what stays in it leads to its own code."""
    files = _CheckedFiles(cache_path=str(tmp_path), filename_base="kernel", source_stamp=b"0")
    files.save(("float32",), "code for float32")
    files.flush()  # the index as the other process had read it
    files.save(("float64",), "code for float64")
    assert 2 == len([*tmp_path.glob("*.nbc")])
    assert "code for float64" == files.load(("float64",))
    files.save(("float32",), "code for float32")
    assert ["code for float32", "code for float64"] == [files.load((kind,)) for kind in ("float32", "float64")]


@pytest.mark.parametrize("damage", ["emptied", "cut", "changed", "noise", "a directory", "a pipe", "a device"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_named_once_and_compiled_again(
    kind: str, damage: str, kernel: Path, compiled: Path, tmp_path: Path
) -> None:
    """The result is the same, and the process after it has a sound cache again where files can be replaced."""
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    (path,) = tmp_path.rglob(f"*.{kind}")
    data = path.read_bytes()
    if damage == "a directory":
        path.unlink()
        path.mkdir()
    elif damage == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif damage == "a device":
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"emptied": b"", "cut": data[:middle], "changed": changed, "noise": b"\x80\x04." * 99}[damage])

    output, complaint = run(kernel, tmp_path)
    assert "12.0 compiled" == output
    assert "compiled again" in complaint
    assert 1 == complaint.count("\n") or damage == "a directory"
    if damage != "a directory":
        assert ("12.0 hit", "") == run(kernel, tmp_path)


def test_a_disk_that_takes_no_kernel_stops_nothing(kernel: Path, tmp_path: Path) -> None:
    """Files may not grow beyond 64 bytes: one sentence, the same result."""
    output, complaint = run(kernel, tmp_path, RLIMIT_FSIZE=64)
    assert "12.0 compiled" == output
    assert "cannot be written" in complaint
    assert 1 == complaint.count("\n")
    assert [] == [path for path in tmp_path.rglob("*") if ".tmp." in path.name]


def test_where_no_cache_can_be_kept_it_is_said_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the user's folder nor the system's is a directory."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert folder_for("0") is None
    assert folder_for("0") is None
    assert 1 == caplog.text.count("set XDG_CACHE_HOME")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_a_user_without_a_home_shares_one_cache_in_the_systems_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processes of a user find the same folder; nobody else's name is in its way."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert tmp_path / f"townlet-{os.geteuid()}" / "kernels-0" == folder_for("0") == folder_for("0")


def test_folders_of_other_versions_are_removed_the_longest_unused_first(tmp_path: Path) -> None:
    """Only as many as the limit asks for; the present one stays."""
    for age, name in enumerate(("present", "young", "old")):
        folder = tmp_path / f"kernels-{name}"
        folder.mkdir()
        (folder / "k.nbc").write_bytes(bytes(1000))
        os.utime(folder, (1e9 - age, 1e9 - age))
    present = tmp_path / "kernels-present"
    assert ["kernels-old", "kernels-young"] == [folder.name for folder in old_folders(present)]
    remove_old(present, 2500)
    assert ["kernels-young"] == [folder.name for folder in old_folders(present)]
    remove_old(present, 0)
    assert [] == list(old_folders(present))
    assert 1000 == bytes_of(present)


def test_the_cache_is_its_owners_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was open to others is closed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "townlet").mkdir()
    (tmp_path / "townlet").chmod(0o777)
    folder = cache_folder.__wrapped__()

    assert folder.is_relative_to(tmp_path)
    assert [0o700, 0o700] == [path.stat().st_mode & 0o777 for path in (folder, folder.parent)]


def test_a_cache_of_another_user_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next place is taken."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "townlet").mkdir()
    os.chown(tmp_path / "townlet", 65534, 65534)

    assert not cache_folder.__wrapped__().is_relative_to(tmp_path)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_variables_that_numba_refuses_leave_a_run_open(value: str, tmp_path: Path) -> None:
    """One sentence names them, and the run goes on without them."""
    (tmp_path / "plays.yaml").write_text(
        "schedule: townlet/v1\nname: plays\nseed: 3\nenvironment: {id: town, scenario: queue_conflict, worlds: 4}\n"
        "teacher: scripted\nregistry: {name: plays}\ninitial: capture\nstates:\n  capture:\n    strategy: capture\n"
        "    with: {episodes: 2, days: 1}\n    next: [{to: done}]\n"
    )

    def townlet(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from townlet.cli import main; sys.argv[0] = 'townlet'; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words, "--home", str(tmp_path / "home")],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    first = townlet("run", str(tmp_path / "plays.yaml"), NUMBA_NUM_THREADS=value)
    assert 4 == first.returncode
    assert "NUMBA_" in first.stderr
    assert "Traceback" not in first.stderr
    assert 0 == townlet("resume", "latest").returncode
