"""The torch environment may not pass by skipping."""

import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT
from torch_skips import skipped_for_torch

REPORT = """<testsuites><testsuite>
<testcase classname="tests.policy" name="test_a"/>
<testcase classname="tests.policy" name="test_b"><skipped message="could not import 'torch'"/></testcase>
<testcase classname="tests.policy" name="test_c"><skipped message="no network">elsewhere</skipped></testcase>
<testcase classname="" name="tests.school"><skipped message="collection skipped">no module Torch</skipped></testcase>
</testsuite></testsuites>"""


def test_skips_for_want_of_torch_are_found() -> None:
    """Tests and whole modules are named; a skip for another reason is not."""
    assert ["tests.policy.test_b", "tests.school"] == skipped_for_torch(REPORT)


def test_a_file_that_asks_for_torch_is_marked() -> None:
    """The environment with torch runs what is marked, and the one without it the rest: nothing falls between them."""
    asking = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    texts = {path: path.read_text(encoding="utf-8") for path in asking}
    wanting = ('importorskip("torch"', 'importorskip("sb3_contrib"', 'importorskip("stable_baselines3"')
    assert [] == [
        path.name
        for path, text in texts.items()
        if any(words in text for words in wanting) and "pytest.mark.torch" not in text
    ]


def test_an_empty_report_proves_nothing() -> None:
    """A run that collected no test does not count as one without skips."""
    with pytest.raises(ValueError, match="holds no test"):
        skipped_for_torch("<testsuites><testsuite/></testsuites>")


def test_a_module_that_asks_for_torch_fails_the_environment(tmp_path: Path) -> None:
    """The whole way: pytest skips at importorskip, the checker answers with an exit code and the module's name."""
    (tmp_path / "test_needs.py").write_text(
        "import sys, pytest\nsys.modules['torch'] = None\npytest.importorskip('torch')\ndef test_it(): pass\n"
    )
    report = tmp_path / "junit.xml"
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml", str(report)]
    subprocess.run([*pytest_run, str(tmp_path)], cwd=tmp_path, capture_output=True, check=False)

    checker = ROOT / "tests" / "conventions" / "torch_skips.py"
    done = subprocess.run([sys.executable, str(checker), str(report)], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "test_needs" in done.stderr
