"""Write the golden report anew: `PYTHONPATH=src:tests/policy:tests/report python tests/report/record.py`."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from golden_runs import GOLDEN, facts_of

from townlet.report.run_markdown import run_markdown

if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        home = shutil.copytree(GOLDEN, Path(folder) / "home")
        target = Path(__file__).parent / "golden" / "promoted.md"
        target.write_text(run_markdown(facts_of(home)), encoding="utf-8")
