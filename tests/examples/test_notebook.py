"""The notebook in the docs runs from top to bottom, and is committed without outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

NOTEBOOK = ROOT / "docs" / "howto" / "numbers.ipynb"


def run_cells(folder: Path, *hidden: str) -> str:
    """Run the notebook's cells in an empty folder and return what they show; warnings are errors."""
    runner = Path(__file__).with_name("notebook_cells.py")
    command = [sys.executable, "-W", "error", str(runner), str(NOTEBOOK), *hidden]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_its_cells_run_and_show_the_run(tmp_path: Path) -> None:
    """A run of seconds: two rounds, their verdicts, their evidence, tables of pandas."""
    shown = run_cells(tmp_path)
    assert "('done', 'no round was good enough')" in shown
    assert "evaluate 2: as_good fail: evaluate.return_per_episode" in shown
    assert "[6 rows x" in shown


@pytest.mark.long
def test_it_needs_no_pandas(tmp_path: Path) -> None:
    """The tables are dictionaries of columns then."""
    assert "rows x" not in run_cells(tmp_path, "pandas")


def test_it_is_a_notebook_without_outputs() -> None:
    """What cells showed on somebody's machine, and how often they ran, is not committed."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert (4, 5) == (notebook["nbformat"], notebook["nbformat_minor"])
    assert len(cells) > 5
    assert [] == [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None]
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.from_dict(notebook))
