"""What is shown: escaped, unbroken, and never a part of the run."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet.cli import run_command
from townlet.dto.comparison import ComparisonResult, MetricComparison
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.registry import AliasMove
from townlet.escapes import one_line, printable
from townlet.numerals import number, plain_numbers
from townlet.report import tables, terminal
from townlet.report.layout import Column, Grid

TITLE = "\x1b]0;owned\x07\x9b31m\u202egnp"
PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 8}
teacher: scripted
registry: {name: plays}
guards: {enough: {metric: capture.episodes, at_least: 2}}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 4, days: 1}
    next: [{to: done, when: [enough]}, {to: hold, why: too few}]
"""


def townlet(*words: str) -> list[str]:
    """Return the command that runs `townlet` in a process of its own."""
    return [sys.executable, "-c", "from townlet.cli import main; main()", *words]


def schedule(folder: Path) -> str:
    """Write a schedule that only captures, and return its path."""
    (folder / "plays.yaml").write_text(PLAYS, encoding="utf-8")
    return str(folder / "plays.yaml")


def rendered(table: object, width: int) -> str:
    """Return what a console of this width shows of a table."""
    console = terminal.Terminal(file=io.StringIO(), width=width, highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def move(actor: str) -> AliasMove:
    """Return a rollback by a person."""
    return AliasMove(
        move=1,
        name="town",
        alias="champion",
        kind="rollback",
        version=1,
        weights="c0ffee" * 10,
        previous_version=None,
        previous=None,
        evidence=None,
        run=None,
        head=None,
        actor=actor,
        reason="",
        at="2026-11-25T12:00:00+00:00",
    )


@given(st.text())
def test_no_text_reaches_the_terminal_with_a_control_character(text: str) -> None:
    """Line feeds are the only ones that stay, and in a cell not even those."""
    assert all(character == "\n" or character.isprintable() or character >= "\xa0" for character in printable(text))
    assert not {"\x1b", "\r", "\x07", "\x9b", "\u202e", "\u2028"} & set(printable(text))
    assert "\n" not in one_line(text)
    printable(text).encode()


@pytest.mark.parametrize("actor", ["ops [/b] team", "[link=https://x.y]click[/link]", ":boom:", TITLE, "a\nb"])
def test_a_name_of_a_person_is_shown_as_it_is(actor: str) -> None:
    """Neither markup nor an escape sequence nor a line feed in an actor means anything to a table."""
    text = rendered(tables.history_table((move(actor),)), 160)
    assert one_line(actor) in text
    assert 3 == len(text.splitlines())


def test_text_in_errors_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """An error message, a warning and a result may quote anything."""
    for write in (terminal.complain, terminal.warn, terminal.say, terminal.show):
        write(f"{TITLE} [/b] [torch]")
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert 4 == (captured.out + captured.err).count(r"\x1b]0;owned\x07\x9b31m\u202egnp [/b] [torch]")


def test_what_to_install_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of an extra in square brackets is no markup."""
    table = Grid("strategies", (Column("can run"),))
    table.add_row("no: pip install 'townlet[torch]'")
    terminal.show(table)
    assert "pip install 'townlet[torch]'" in capsys.readouterr().out


def test_only_the_terminal_module_makes_consoles_and_reads_markup() -> None:
    """One place escapes; a second way to the terminal would need a second one."""
    sources = Path(terminal.__file__).parents[1]
    offenders = [
        str(path)
        for path in sources.rglob("*.py")
        if path.name != "terminal.py"
        and ("Console(" in (text := path.read_text(encoding="utf-8")) or "rich.markup" in text or "[bold" in text)
    ]
    assert [] == offenders


@given(st.floats(-1e300, 1e300))
def test_numbers_have_no_exponent_where_people_write_none(value: float) -> None:
    """From a millionth to a quadrillion; never a negative zero; four digits of precision."""
    text = number(value)
    assert text not in {"-0", ""}
    if 1e-6 <= abs(value) < 1e15:
        assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-2 if abs(value) < 1e-6 else 6e-4, abs=1e-320)


def test_sentences_of_the_journal_are_shown_with_plain_numbers() -> None:
    """A digest that looks like an exponent is none."""
    assert "22,120 of 0.000023, 0, 7e4f2c5" == plain_numbers("2.212e+04 of 2.3e-05, -0, 7e4f2c5")


def comparison() -> ComparisonResult:
    """Return a comparison with long numbers."""
    metric = MetricComparison(
        metric="return_per_agent_day",
        unit="1/agent-day",
        direction="higher",
        candidate=22118.0,
        baseline=-0.0011234,
        difference=-0.029114,
        low=-0.0,
        high=1234567.0,
        candidate_iqm=1.0,
        baseline_iqm=2.0,
        probability_of_improvement=0.5,
        pairs=100,
    )
    return ComparisonResult(
        scenario="small_town",
        candidate="teacher:random",
        baseline="teacher:scripted",
        actions="greedy",
        episodes=100,
        days=14,
        seed=0,
        confidence=0.975,
        metrics=(metric,),
    )


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 160])
def test_a_number_never_breaks(width: int) -> None:
    """At every width each number stands whole on a line, and nothing is wider than the terminal."""
    text = rendered(tables.comparison_table(comparison()), width)
    words = text.split()
    for value in ("22,118", "-0.001123", "-0.02911", "0", "1,234,567"):
        assert value in words
    if width >= 40:
        assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_evidence_that_one_side_lacks_is_not_averaged() -> None:
    """Neither a gap nor an invalid number turns into the mean of the others."""
    whole, gap = tuple(map(float, range(20))), (None, *map(float, range(19)))
    rows = {"known": (whole, {}), "gap": (gap, {}), "invalid": (whole, {"candidate": (3,)})}
    evidence = EvidenceTable(
        evidence="full",
        candidate="c" * 64,
        baselines={"champion": "teacher:lazy"},
        seed=1,
        looks=(20,),
        metrics=tuple(
            PairedMetric(metric=name, values={"candidate": values, "champion": whole}, invalid=invalid)
            for name, (values, invalid) in rows.items()
        ),
    )
    lines = rendered(tables.evidence_table("d" * 64, evidence), 160).splitlines()
    cells = {line.split()[0]: line.split()[3:] for line in lines if line.split() and line.split()[0] in rows}

    assert ["9.5", "9.5", "0", "[0,", "0]", "20"] == cells["known"]
    assert ["unknown", "19", "of", "20"] == cells["gap"]
    assert ["unknown", "20", "of", "20"] == cells["invalid"]


def test_wide_prints_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal leaves out and says so; `wide` does not."""
    monkeypatch.setenv("COLUMNS", "80")
    assert "left out here: " in rendered(tables.comparison_table(comparison()), 80)
    terminal.show(tables.comparison_table(comparison()), wide=True)
    assert "baseline IQM" in capsys.readouterr().out


def test_a_stream_that_fails_takes_no_more_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is kept; a new stream in its place is written again."""

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    terminal.show("lost")
    assert "No space left on device" == terminal.lost_results()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    terminal.show("written")
    assert "" == terminal.lost_results()


def test_a_terminal_of_another_encoding_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arrow that ASCII lacks is no reason for a traceback."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.show("a → b")
    assert b"a \\u2192 b" == stream.buffer.getvalue().strip()  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [["run"], ["graph"]])
@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| head -c 1", "2>&1 | true"])
def test_a_command_ends_the_same_whatever_becomes_of_its_output(
    tmp_path: Path, command: list[str], redirection: str
) -> None:
    """Closed or abandoned: the exit code is the command's own, and a run is done with a clean audit."""
    home = tmp_path / "home"
    more = ["--home", str(home)] if command == ["run"] else []
    words = " ".join(f"'{word}'" for word in townlet(*command, schedule(tmp_path), *more))
    shell = subprocess.run(
        ["bash", "-c", f"{words} {redirection}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    assert 0 == shell.returncode, shell.stderr
    assert "Traceback" not in shell.stderr + shell.stdout
    assert "Exception ignored" not in shell.stderr
    if command == ["run"]:
        assert 0 == run_command(["audit", "verify", "latest", "--home", str(home)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_under_stdout_is_told_and_the_run_is_done(tmp_path: Path) -> None:
    """A run keeps its exit code and says where its summary is; a command that only shows ends with 4."""
    with Path("/dev/full").open("w") as full:
        words = townlet("run", schedule(tmp_path), "--home", str(tmp_path / "home"))
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        shown = subprocess.run(townlet("schemas"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        schema = subprocess.run(townlet("schema"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        help_ = subprocess.run(townlet("--help"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        silent = subprocess.run(townlet("--help"), stdout=full, stderr=full, check=False)
    assert 0 == done.returncode
    assert "No space left on device; the run is not affected" in done.stderr
    assert 2 == shown.returncode
    assert 4 == schema.returncode == help_.returncode == silent.returncode
    for process in (done, shown, schema, help_):
        assert "Traceback" not in process.stderr
        assert "Exception ignored" not in process.stderr


def test_a_closed_descriptor_is_not_taken_by_a_file_of_the_run(tmp_path: Path) -> None:
    """What libraries write to descriptor 2 must not land in the journal."""
    code = (
        "import os\nfor each in (0, 1, 2): os.close(each)\n"
        "from townlet.commands.faults import open_missing_streams\nopen_missing_streams()\n"
        f"opened = os.open({str(tmp_path / 'journal')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.write(2, b'noise'); os.write(1, b'noise')\nraise SystemExit(0 if opened > 2 else 9)\n"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert b"" == (tmp_path / "journal").read_bytes()
