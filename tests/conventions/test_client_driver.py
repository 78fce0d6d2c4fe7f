"""The driver of `tox -e clients` says what happened to a client, and the page of clients knows each of them."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

DRIVER = runpy.run_path(str(ROOT / "tests" / "clients" / "drive.py"))
GOOD = {"checker": "check_env passed", "updates": 3, "actions": 6144, "illegal": 0}
NOTHING = ("", "", "", "")


def _judged(program: str) -> tuple[str, ...]:
    answer: tuple[str, ...] = DRIVER["judge"](
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    )
    return answer


def _ending_with(report: Any) -> str:
    return f"print('chatter'); print({json.dumps(report)!r})"


def test_every_client_has_a_program_a_row_and_a_wiring() -> None:
    """What the driver installs is what the folder and the page hold."""
    names = set(DRIVER["CLIENTS"])
    page = (ROOT / "docs" / "reference" / "clients.md").read_text(encoding="utf-8")

    assert names == {path.name.removesuffix("_client.py") for path in (ROOT / "tests" / "clients").glob("*_client.py")}
    assert names == {row.split("|")[1].strip() for row in page.splitlines() if row.startswith("| ")} - {"client", "---"}
    assert f"| {' | '.join(DRIVER['COLUMNS'])} |" in page


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (_ending_with(GOOD), ("check_env passed", "3", "6144", "0", "passed")),
        (
            _ending_with({**GOOD, "illegal": 1}),
            ("check_env passed", "3", "6144", "1", "failed: it played actions that the masks forbid"),
        ),
        (_ending_with({**GOOD, "actions": 0}), ("check_env passed", "3", "0", "0", "failed: it counted no action")),
        ("print('all is well')", (*NOTHING, "failed: its program reported nothing")),
        ("print('[1, 2]')", (*NOTHING, "failed: its program reported nothing")),
        ("", (*NOTHING, "failed: its program reported nothing")),
        ("import no_such_client", (*NOTHING, "failed: ModuleNotFoundError: No module named 'no_such_client'")),
        (f"{_ending_with(GOOD)}; raise SystemExit(3)", (*NOTHING, f"failed: {json.dumps(GOOD)}")),
    ],
)
def test_a_client_passes_if_its_program_counted_legal_actions(program: str, expected: tuple[str, ...]) -> None:
    """An illegal action, no action, no report and a program that failed are each named as what they are."""
    assert expected == _judged(program)


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """The driver waits a bounded time."""
    forever = DRIVER["execute"]([sys.executable, "-c", "while True: pass"], tmp_path, os.environ, seconds=0.5)

    assert (*NOTHING, "failed: not finished after 0.5 s") == DRIVER["judge"](forever)


def test_the_reason_why_pip_does_not_install_a_client_is_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A real pip without an index finds nothing; the row says so, and the folder is gone afterwards."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    assert not DRIVER["run_client"]("torchrl", ("torchrl",), Path("never_run.py"))

    (row,) = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert ["torchrl", "", "", "", "", ""] == cells[:6]
    assert cells[7].startswith("not installed: ")
    assert "No matching distribution found for" in cells[7]
    assert [] == list(tmp_path.iterdir())


def test_pip_is_quoted_with_the_conflict() -> None:
    """Its errors and the requirements that exclude each other, without warnings and advice, in one line."""
    out = (
        "The conflict is caused by:\n    The user requested c==1\n    townlet[env] 0.1.0 depends on c>=2\n\n"
        "To fix this you could try to:\n1. loosen the range of package versions you've specified\n"
    )
    errors = (
        "WARNING: Location is ignored\nERROR: Cannot install c and townlet because their requirements conflict.\n"
        "ERROR: ResolutionImpossible: for help visit a page\n"
    )

    assert (
        "Cannot install c and townlet because their requirements conflict. The conflict is caused by: "
        "The user requested c==1 townlet[env] 0.1.0 depends on c>=2"
    ) == DRIVER["pip_reason"](subprocess.CompletedProcess([], 1, out, errors))
