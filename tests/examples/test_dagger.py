"""A strategy of another package: installed into a new environment, run to a promotion, killed and resumed."""

import json
import os
import signal
import site
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "docs" / "examples" / "dagger"
SCHEDULE = PACKAGE / "dagger.yaml"
COMMAND = ["-c", "import sys; sys.argv[0] = 'townlet'; from townlet.cli import main; main()"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment that sees what this one does, and the package."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    executable = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    seen = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
    (packages / "seen.pth").write_text(f"import site; {seen}\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(executable), "install", "--quiet", "--no-deps",
         "--no-build-isolation", str(PACKAGE)],
        check=True,
    )  # fmt: skip
    return executable


def townlet(python: Path | str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of townlet in `folder`."""
    return subprocess.run(
        [str(python), *COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def records(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """Return kind and body of the only run's records, whole lines only."""
    journals = [path for path in folder.glob(".townlet/runs/2*/journal.jsonl") if path.is_file()]
    lines = journals[0].read_text().split("\n")[:-1] if journals else []
    return [(line["kind"], line["body"]) for line in map(json.loads, lines)]


def ends(folder: Path) -> tuple[object, ...]:
    """Return what two equal runs agree on: where the run ended, its weights, its semantic hash."""
    (head,) = folder.glob(".townlet/runs/*/head.json")
    found = records(folder)
    promoted = [body["target"] for kind, body in found if kind == "effect_done"]
    return found[-1][0], promoted, json.loads(head.read_text())["semantic"]


@pytest.mark.long
def test_an_added_strategy_runs_to_a_promotion_and_survives_a_kill(python: Path, tmp_path: Path) -> None:
    """Check, forecast, rehearsal, run, kill -9, resume, audit and replay: nothing treats it unlike a built-in one."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    assert "dagger" in townlet(python, tmp_path, "strategies").stdout
    plan = json.loads(townlet(python, tmp_path, "check", str(SCHEDULE), "--json").stdout)
    (state,) = (state for state in plan["states"] if state["state"] == "dagger")
    assert 48 * 2 * 240 * 3 == state["agent_steps"]

    done = townlet(python, whole, "run", str(SCHEDULE))
    assert 0 == done.returncode, done.stderr
    _kill_within_a_fit_of_dagger(python, cut)
    resumed = townlet(python, cut, "resume", "latest")
    assert 0 == resumed.returncode, resumed.stderr

    assert ends(whole) == ends(cut)
    assert 1 == len(ends(whole)[1])
    for command in ("verify", "replay"):
        done = townlet(python, cut, "audit", command, "latest")
        assert 0 == done.returncode, done.stdout + done.stderr


def _kill_within_a_fit_of_dagger(python: Path, folder: Path) -> None:
    process = subprocess.Popen(
        [str(python), *COMMAND, "run", str(SCHEDULE)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 240
    while not any(kind == "checkpoint" and body["state"] == "dagger" for kind, body in records(folder)):
        assert process.poll() is None, "the run ended before dagger kept a checkpoint"
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_rehearsal_walks_through_it(python: Path, tmp_path: Path) -> None:
    """Tiny numbers by its own declaration; nothing is promoted."""
    done = townlet(python, tmp_path, "run", str(SCHEDULE), "--rehearse")
    assert {"capture", "bc", "dagger", "evaluate", "promote"} <= {
        str(body["state"]) for kind, body in records(tmp_path) if kind == "visit_finished"
    }, done.stderr


def test_without_the_package_its_runs_are_refused_in_one_sentence(python: Path, tmp_path: Path) -> None:
    """Neither the schedule nor the journal means anything here, and nothing is called broken."""
    refused = townlet(sys.executable, tmp_path, "check", str(SCHEDULE))
    assert (2, 1) == (refused.returncode, refused.stderr.count("unknown strategy 'dagger'"))
    townlet(python, tmp_path, "run", str(SCHEDULE), "--rehearse")
    refused = townlet(sys.executable, tmp_path, "audit", "verify", "latest-rehearsal")
    assert 2 == refused.returncode, refused.stdout
    assert "unknown strategy 'dagger'" in refused.stderr
    assert "install the package that declares it" in refused.stderr
