"""The tutorial on decisions: its commands run in their order, and runs and reports say what the page promises."""

import re
import shlex
import subprocess
import sys
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import blocks
from places import ROOT

PAGE = ROOT / "docs" / "tutorials" / "from_report_to_decision.md"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(find_spec("jinja2") is None, reason="jinja2 is not installed")
def test_every_command_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    """Two holds, a risk that was accepted, an approval, a second promotion, and the way back to the first."""
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    ends, reports = [], []
    for line in commands:
        command = [sys.executable, "-m", *shlex.split(line)]
        ends.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False))
        if line == "townlet report latest":
            written = re.search(r"wrote (.*?report\.html)", "".join(ends[-1].stdout.splitlines()))
            assert written is not None
            reports.append(unescape((tmp_path / written[1]).read_text(encoding="utf-8")))
    assert [3, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0] == [end.returncode for end in ends], [end.stderr for end in ends]

    held, asking, second = reports
    assert (
        re.sub(r"0\.9\d+ ", "", blocks(PAGE, "text")[1])
        == re.sub(r"0\.9\d+ ", "", ends[0].stdout[:140]).split("to go")[0]
    )
    assert "Held: the clone is too weak; nothing was promoted." in held
    assert "No policy was compared with another" in held
    for command in ("retry", "accept-risk", "abort"):
        assert f"townlet {command} " in held
    assert (
        "Held: evaluate asks a person before it goes on to promote; nothing was promoted yet. "
        "A person went on against the guards once."
    ) in asking
    assert re.search(
        r"fewer than 1 of (11|33) episodes", asking
    )  # decided at look 1 or 2, as the processor's bits fall
    assert "Episodes to look at" in asking
    assert (tmp_path / "worst.html").exists()
    assert ends[7].stdout.startswith("done: the champion moved\n")
    assert "as version 2, instead of " in second
    assert "townlet registry rollback quickstart --reason WHY" in second
    assert "names version 1 again" in ends[10].stdout
    assert ["promote", "promote", "rollback"] == re.findall(
        r"^quickstart@champion +(\w+)", ends[11].stdout, re.MULTILINE
    )
