"""An environment from outside is checked once before its run: it is refused, or reports name what it does not keep."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from broken_corridors import ConstantKeys
from corridor import CorridorProvider, Keeping
from corridor_schedules import WEIGHTS_FILE, write
from homes import Town
from ridge_weights import ridge

from townlet.dto.journal import SEMANTIC_KINDS, Entry, EnvironmentChecked, VisitStarted
from townlet.errors import BadInputError
from townlet.machine.journal.chain import read
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentDescription
from townlet.store.rundir import RunDirectory

CORRIDORS = Path(__file__).parents[1] / "policy"
MEANS = "warning: evaluate → promote: means decide"
TAKEN = "environment corridor/plain: refusals (broken): "
DIES = """\
import os, signal
from pathlib import Path
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

def die(entry):
    if entry.record.kind == "environment_checked":
        os.kill(os.getpid(), signal.SIGKILL)

PolicyTrainingOrchestrator(Path("schedule.yaml"), home=Path("home"), listen=die).run()
"""


@frozen
class Office:
    """A folder with a schedule, and an installed package that registers corridors of some kind as an environment."""

    folder: Path

    def install(self, kind: str) -> None:
        """Register corridors of a kind: an expression of `corridor` and `broken_corridors`."""
        package = self.folder / "site" / "corridors-1.dist-info"
        package.mkdir(parents=True, exist_ok=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: corridors\nVersion: 1\n")
        (package / "entry_points.txt").write_text("[townlet.environments]\ncorridor = corridors:Provider\n")
        (package.parent / "corridors.py").write_text(
            "import broken_corridors as broken\nfrom corridor import Corridor, CorridorProvider, Keeping\n\n"
            f"class Provider(CorridorProvider):\n    def __init__(self):\n        super().__init__({kind})\n"
        )

    def type(self, *words: str, code: int = 0) -> tuple[str, str]:
        """Give a command to a process of its own and return what it prints, with the exit code that is expected."""
        done = self.python("-c", "from townlet.cli import main; main()", *words)
        assert code == done.returncode, done.stderr
        return done.stdout, done.stderr

    def python(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Start a process that sees the package."""
        path = os.pathsep.join([str(self.folder / "site"), str(CORRIDORS)])
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )

    def journal(self) -> list[Any]:
        """Return the records of the last run."""
        run = RunDirectory.find(self.folder / "home", "latest")
        return [entry.record for entry in read(run.journal, run.head, catalogue()).entries]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Weights that walk straight, and a schedule that promotes them."""
    data = ridge("straight")
    (tmp_path / "given.safetensors").write_bytes(data)
    write(tmp_path, WEIGHTS_FILE, scenario="plain", file="given.safetensors", sha256=hashlib.sha256(data).hexdigest())
    return Office(tmp_path)


def test_check_says_what_an_environment_keeps(office: Office) -> None:
    """A sound one in a line, a reservation as a warning, a broken promise as an error with exit code 2.

    What else is said is about the schedule, which promotes by a mean alone.
    """
    office.install("Keeping")
    out, err = office.type("check", "schedule.yaml")
    assert "environment corridor/plain: keeps 14 of 14 promises, checked in " in out
    assert [MEANS] == [line[: len(MEANS)] for line in err.splitlines()]

    office.install("Corridor")
    out, err = office.type("check", "schedule.yaml")
    assert "environment corridor/plain: keeps 13 of 14 promises, checked in " in out
    assert [MEANS] == [line[: len(MEANS)] for line in err.splitlines()]
    reports = json.loads(office.type("check", "schedule.yaml", "--json")[0])["environment_reports"]
    assert ["snapshot"] == [each["promise"] for each in reports[0]["promises"] if each["outcome"] != "kept"]

    office.install("broken.BatchDependent")
    err = office.type("check", "schedule.yaml")[1]
    assert err.startswith("warning: environment corridor/plain does not obey its seed: evidence is unpaired (Welch)")

    office.install("broken.ConstantKeys")
    out, err = office.type("check", "schedule.yaml", code=2)
    assert "" == out
    assert err.startswith("error: environment corridor/plain breaks what a run rests on: keys (broken): ")
    assert 1 == err.count("\n")


def test_a_broken_promise_is_refused_before_anything_is_written(office: Office) -> None:
    """The home of the run does not come into being."""
    office.install("broken.ConstantKeys")
    _, err = office.type("run", "schedule.yaml", "--home", "home", code=2)
    assert err.startswith("error: environment corridor/plain breaks what a run rests on: ")
    assert [] == [*office.folder.glob("home/runs/*")]


def test_a_reservation_stands_in_every_report(office: Office) -> None:
    """The start, the last lines, the summary, `audit`, and the provenance of what was promoted."""
    office.install("broken.TakesAnything")
    out, err = office.type("run", "schedule.yaml", "--home", "home")
    assert "environment corridor/plain: keeps 12 of 14 promises, checked in " in err
    assert f"warning: {TAKEN}" in err
    assert f"\nreservation: {TAKEN}" in out
    for words in (["audit", "verify"], ["audit", "why"]):
        assert TAKEN in office.type(*words, "latest", "--home", "home")[0]
    statement = json.loads(office.type("registry", "show", "given@champion", "--provenance", "--home", "home")[0])
    summary = json.loads(office.type("resume", "latest", "--home", "home", "--json")[0])
    for reservations in (statement["predicate"]["reservations"], summary["reservations"]):
        assert [True] == [each.startswith(TAKEN) for each in reservations]
    assert "keeps 12 of 14 promises" in office.type("audit", "show", "latest", "--home", "home")[0]

    _, checked, *_ = office.journal()
    assert isinstance(checked, EnvironmentChecked)
    assert ("corridor", "plain", 14) == (
        checked.report.environment,
        checked.report.scenario,
        len(checked.report.promises),
    )


def test_what_is_kept_changes_no_semantic_hash(office: Office) -> None:
    """Two environments that play alike give equal runs, though one offers snapshots and the other does not."""
    semantic = []
    for kind in ("Corridor", "Keeping"):
        office.install(kind)
        out, _ = office.type("run", "schedule.yaml", "--home", kind)
        semantic.append(next(line for line in out.splitlines() if line.startswith("semantic ")))
    assert "environment_checked" not in SEMANTIC_KINDS
    assert semantic[0] == semantic[1]


def test_a_run_that_is_killed_right_after_the_check_is_resumed_without_another(office: Office) -> None:
    """After kill -9 behind the record, resume adds no second record, and the run promotes."""
    office.install("Keeping")
    assert -signal.SIGKILL == office.python("-c", DIES).returncode
    assert ["run_created", "environment_checked"] == [record.kind for record in office.journal()]

    office.type("resume", "latest", "--home", "home")
    kinds = [record.kind for record in office.journal()]
    assert 1 == kinds.count("environment_checked")
    assert ["effect_done", "run_closed"] == [kind for kind in kinds if kind in ("effect_done", "run_closed")]


def test_evaluate_names_episodes_that_one_side_has_no_exposure_in(office: Office) -> None:
    """Not known, with the flag to state; known with the flag."""
    office.install("broken.LosesExposure")
    words = ["evaluate", "teacher:straight", "--against", "teacher:lazy", "--environment", "corridor"]
    words += ["--scenario", "plain", "--days", "1", "--episodes", "40"]
    out, err = office.type(*words)
    assert "unknown" in next(line for line in out.splitlines() if line.startswith("return_per_agent_day"))
    assert (
        "warning: return_per_agent_day is not known: the candidate alone has no exposure in 4 episodes "
        "(3, 11, 19, 35); state what these count as: --missing worst or --missing drop\n"
    ) in err
    for missing in ("worst", "drop"):
        out, err = office.type(*words, "--missing", missing)
        assert "unknown" not in out
        assert "" == err


class TwoScenarios(CorridorProvider):
    """Offers `narrow` too, in the same corridors."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know."""
        return evolve(super().describe("plain"), scenario=scenario)


class KilledError(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("is_broken", [False, True])
def test_scenarios_that_an_accepted_edit_adds_are_checked(tmp_path: Path, *, is_broken: bool) -> None:
    """Refused before anything is appended, or journalled beside the acceptance; the first check is not repeated."""
    walker = Town(tmp_path / "home").facade("straight")
    walker.environments = TwoScenarios(Keeping)

    def die(entry: Entry) -> None:
        if isinstance(entry.record, VisitStarted):
            raise KilledError

    walker.listen = die
    with pytest.raises(KilledError):
        walker.run()
    run = RunDirectory.find(tmp_path / "home", "latest")
    before = run.journal.read_bytes()
    assert isinstance(walker.config, Path)
    text = walker.config.read_text().replace("days: 2, confidence", "scenarios: [plain, narrow], days: 2, confidence")
    walker.config.write_text(text.replace("evaluate.return_per_agent_day", "'evaluate[narrow].return_per_agent_day'"))
    walker.listen = lambda _: None

    if is_broken:
        walker.environments = TwoScenarios(ConstantKeys)
        with pytest.raises(BadInputError, match="environment corridor/narrow breaks what a run rests on: "):
            walker.resume(accept_schedule=True)
        assert before == run.journal.read_bytes()
    else:
        assert "done" == walker.resume(accept_schedule=True).state
        records = [entry.record for entry in read(run.journal, run.head, catalogue()).entries]
        checked = [record.report.scenario for record in records if isinstance(record, EnvironmentChecked)]
        assert ["plain", "narrow"] == checked
