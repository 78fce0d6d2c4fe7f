"""The first tutorial: its commands run in their order and print what the page promises."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks
from places import ROOT

PAGE = ROOT / "docs" / "tutorials" / "first_anneal.md"


@pytest.mark.slow
@pytest.mark.long
def test_every_command_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    """A plan, a promotion, its reasons, two proofs, and a refusal with exit code 6."""
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    ends = []
    for line in commands:
        command = [sys.executable, "-m", *shlex.split(line)]
        ends.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False))
    assert [0, 0, 0, 0, 0, 6] == [end.returncode for end in ends], [end.stderr for end in ends]
    plan, promoted, why, verified, replayed, refused = (end.stdout for end in ends)
    for line in blocks(PAGE, "text")[1].splitlines():
        assert re.sub(r" +", " ", line) in re.sub(r" +", " ", plan)
    assert promoted.startswith("done: the champion moved\n")
    assert re.search(r"pass +better: .* \(32 pairs, look 1 of 2", why)
    assert "What this run could not see" in why
    assert verified.startswith("clean: ")
    assert replayed.startswith("the same again: 13 verdicts, 5 edges, 0 by operators")
    assert refused.startswith("done: no round produced a better policy; the champion is unchanged\n")


def test_the_page_shows_the_plan_of_the_shipped_schedule() -> None:
    """What it quotes of `check` is what `check` prints today; no training is needed for that."""
    command = [sys.executable, "-m", "townlet", "check", "quickstart"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = re.sub(r" +", " ", done.stdout + done.stderr)
    quoted = blocks(PAGE, "text")[1].splitlines()
    assert [] == [line for line in quoted if re.sub(r" +", " ", line) not in shown]
    assert "at most 18,432,000 agent-steps" in shown
