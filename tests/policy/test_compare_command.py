"""`townlet compare`: runs of one schedule are one recipe; what cannot be compared is refused with the reason."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from hashlib import sha256
from html import unescape
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import LIVES, weights_of

from townlet.cli import run_command
from townlet.estimate import iqm, probability_of_improvement
from townlet.machine.replication.evidence import last_evidence
from townlet.machine.replication.recipes import named_runs
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore

JUDGES = """\
schedule: townlet/v1
name: NAME
seed: 3
environment: {id: town, scenario: small_town, worlds: 4}
teacher: scripted
registry: {name: judged}
policies: {given: {file: given.safetensors, sha256: SHA}}
evidence: {full: {episodes: [20], days: DAYS, confidence: 95%}}
baselines: {champion: {alias: champion, otherwise: teacher}, teacher: {policy: teacher}}
guards:
  better: {metric: evaluate.return_per_agent_day, better_by: {baseline: champion, absolute: 0}, evidence: full}
  lives: {metric: evaluate.deaths, not_worse_than: {baseline: champion, relative: 25%, floor: 0.05}, evidence: full}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 2, days: 1}, next: [{to: evaluate}]}
  evaluate:
    strategy: evaluate
    with: {candidate: given}
    next: [{to: promote, when: [better, lives]}, {to: done}]
  promote: {strategy: promote, next: [{to: done}]}
"""
IDLE = LIVES | {"wait": {"always": 9.0}}


def write(folder: Path, name: str, rules: Any, *, days: int = 1) -> Path:
    """Write a schedule that judges handmade weights, and the weights beside it."""
    place = folder / name
    place.mkdir(exist_ok=True)
    weights = weights_of(rules)
    (place / "given.safetensors").write_bytes(weights)
    text = JUDGES.replace("NAME", name).replace("SHA", sha256(weights).hexdigest()).replace("DAYS", str(days))
    (place / "judges.yaml").write_text(text, encoding="utf-8")
    return place / "judges.yaml"


def run(folder: Path, name: str, rules: Any, *, seed: int = 3, days: int = 1) -> None:
    """Run such a schedule in the home of `folder`."""
    words = ("--seed", str(seed), "--own-registry", "--home", str(folder / "home"))
    assert run_command(["run", str(write(folder, name, rules, days=days)), *words]) in (0, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two runs of one recipe, one of a second, and one whose episodes last longer."""
    path = tmp_path_factory.mktemp("compared")
    run(path, "lively", LIVES)
    run(path, "lively", LIVES, seed=4)
    run(path, "idle", IDLE)
    run(path, "longer", LIVES, days=2)
    return path


def compared(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return the JSON document of a comparison."""
    capsys.readouterr()
    assert 0 == run_command(["compare", *words, "--home", str(folder / "home"), "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def document(folder: Path) -> Any:
    """The JSON document of the first two recipes."""
    with redirect_stdout(StringIO()) as out:
        assert 0 == run_command(["compare", "lively", "idle", "--home", str(folder / "home"), "--json"])
    return json.loads(out.getvalue())


def test_a_name_stands_for_all_runs_of_a_schedule(
    folder: Path, document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs and one make two recipes; every number is that of the stored episodes, and repeats bit for bit."""
    assert [("lively", [3, 4]), ("idle", [3])] == [(each["name"], each["seeds"]) for each in document["recipes"]]
    assert "return_per_agent_day" == document["objective"] == document["kpis"][0]["metric"]
    runs, _ = named_runs(folder / "home", ("lively", "idle"), catalogue())
    values = [_values(folder, each) for each in runs]
    lively, idle = document["kpis"][:2]
    assert (40, 0, pytest.approx(iqm([*values[0], *values[1]]))) == (
        lively["episodes"], lively["left_out"], lively["iqm"],
    )  # fmt: skip
    assert pytest.approx(probability_of_improvement(values[2], [*values[0], *values[1]])) == idle["improvement"]
    assert lively["iqm_low"] < lively["iqm"] < lively["iqm_high"]
    assert lively["improvement"] is None
    assert document == compared(folder, capsys, "lively", "idle")


def test_few_runs_speak_of_these_weights(document: Any) -> None:
    """With one run and two nothing is said of a recipe; the worse one is called worse."""
    sentences = " ".join(document["sentences"])
    assert "these weights: idle beside lively, return_per_agent_day: an episode is better in 0%" in sentences
    assert "worse in more than half of the couples" in sentences
    assert "this recipe" not in sentences


def test_a_policy_beside_itself_is_undecided(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same weights in two schedules play other episodes: the interval holds one half."""
    run(folder, "again", LIVES, seed=9)
    assert "undecided: the interval holds 50%" in " ".join(compared(folder, capsys, "lively", "again")["sentences"])


def test_a_lower_count_of_deaths_is_better(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a KPI that improves downwards, the chance is that of the lower value."""
    document = compared(folder, capsys, "idle", "lively")
    deaths = [kpi for kpi in document["kpis"] if kpi["metric"] == "deaths"]
    assert [("lower", None), ("lower", True)] == [
        (kpi["direction"], None if kpi["improvement"] is None else kpi["improvement"] > 0.5) for kpi in deaths
    ]
    assert deaths[1]["mean"] < deaths[0]["mean"]


def test_runs_of_other_episodes_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The length of an episode differs: both values are named, and what to do instead."""
    assert 2 == run_command(["compare", "lively", "longer", "--home", str(folder / "home")])
    said = capsys.readouterr().err
    assert "days of an episode 2 and 1" in said
    assert "townlet evaluate" in said


def test_one_recipe_is_no_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs of one schedule, a single run, and a name that nobody knows are refused."""
    home = ("--home", str(folder / "home"))
    assert 2 == run_command(["compare", "lively", *home])
    assert "all 2 runs follow one schedule (lively); expected the runs of two or more" in capsys.readouterr().err
    assert 2 == run_command(["compare", "lively", "nobody", *home])
    assert "'nobody' is neither a run directory nor" in capsys.readouterr().err


def test_the_page_says_what_the_terminal_says(
    folder: Path, document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same sentences, every KPI, both schedules' difference and each run's guards; the same bytes again."""
    pytest.importorskip("jinja2")
    sentences, out = document["sentences"], tmp_path / "c.html"
    words = ["compare", "lively", "idle", "--home", str(folder / "home"), "--out", str(out)]
    assert 0 == run_command(words)
    assert f"wrote {out}" in "".join(capsys.readouterr().out.splitlines())
    first = out.read_bytes()
    page = unescape(first.decode())

    for sentence in sentences:
        assert sentence[1:] in page
    assert "These weights of idle are worse than lively in return_per_agent_day, IQM " in page
    assert "lively: 2 runs, 40 episodes; idle: 1 run, 20 episodes." in page
    assert "policies.given.sha256" in page.replace("<wbr>", "")
    assert page.count('<th scope="row">deaths</th>') == page.count('<th scope="row">lives<br>') == 1
    assert ">difference in evaluate.deaths" in page
    assert {"2", "1"} <= set(re.findall(r'class="verdicts">(\d+) ', page))
    assert str(tmp_path) not in page
    assert str(folder) not in page
    assert 2 == run_command(words)
    assert "exists already" in capsys.readouterr().err
    assert 0 == run_command([*words, "--force"])
    assert first == out.read_bytes()


def test_a_seed_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs of one schedule and one seed have the same bits: one of them is left out, and that is said."""
    for name, rules in (("lively", LIVES), ("lively", LIVES), ("idle", IDLE)):
        run(tmp_path, name, rules)
    capsys.readouterr()
    assert 0 == run_command(["compare", "lively", "idle", "--home", str(tmp_path / "home"), "--json"])
    captured = capsys.readouterr()
    assert [[3], [3]] == [each["seeds"] for each in json.loads(captured.out)["recipes"]]
    assert "has the schedule and the seed of run" in captured.err


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "replicate.md"
COMMANDS = [line for block in PAGE.read_text().split("```sh\n")[1:] for line in block.split("```")[0].splitlines()]
"""The commands of the how-to."""


def test_the_commands_of_the_how_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word but for the number of seeds, on two small schedules that have these names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOWNLET_HOME", str(tmp_path / "home"))
    for name, rules in (("quickstart", LIVES), ("shorter", IDLE)):
        write(tmp_path, name, rules)
    paths = {"quickstart": "quickstart/judges.yaml", "shorter.yaml": "shorter/judges.yaml", "5": "1"}
    assert 5 == len(COMMANDS)
    for command in COMMANDS if find_spec("jinja2") else COMMANDS[:-1]:
        _, name, *words = shlex.split(command)
        words = [paths.get(word, word) for word in words] if name == "replicate" else words
        assert 0 == run_command([name, *words]), capsys.readouterr().err
    assert "these weights: shorter beside quickstart" in capsys.readouterr().out
    assert (tmp_path / "compare.html").exists() == (find_spec("jinja2") is not None)


def _values(folder: Path, measured: Any) -> list[float]:
    table = last_evidence(measured.snapshot, BlobStore(folder / "home" / "blobs"))
    assert table is not None
    row = next(row for row in table.metrics if row.metric == "return_per_agent_day")
    return [float(value) for value in np.array(row.values["candidate"], float)]
