"""The wheel alone, in an empty folder: the shipped schedules and the schema are in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "schedules").glob("*.yaml"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the contents of a new wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def townlet(package: Path, tmp_path: Path):  # a function of the command's words
    """Return a function that runs a command of the wheel in an empty folder and returns its stdout."""

    def run(*words: str) -> str:
        code = "import sys; sys.argv[0] = 'townlet'; from townlet.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    return run


def test_the_wheel_holds_types_and_every_schedule(package: Path) -> None:
    """py.typed and the schedules are package data, word for word those of the repository."""
    assert (package / "townlet" / "py.typed").is_file()
    for path in (ROOT / "schedules").glob("*.yaml"):
        assert path.read_bytes() == (package / "townlet" / "schedules" / path.name).read_bytes()


def test_the_wheel_holds_what_pages_are_made_of(package: Path) -> None:
    """Templates, styles and scripts are package data."""
    folder = Path("townlet", "report", "html", "templates")
    sources = sorted((ROOT / "src" / folder).iterdir())

    assert {"viewer.js", "viewer.html.j2"} < {path.name for path in sources}
    assert [path.read_bytes() for path in sources] == [(package / folder / path.name).read_bytes() for path in sources]


def test_schedules_lists_those_of_the_wheel(townlet, package: Path) -> None:
    """Each has a name, one sentence and what it needs."""
    rows = json.loads(townlet("schedules", "--json"))

    assert SHIPPED == [row["name"] for row in rows]
    assert all(row["summary"] and row["wall_clock"] and not row["torch"] for row in rows)
    table = townlet("schedules")
    assert [] == [name for name in SHIPPED if name not in table]


def test_a_schedule_is_checked_and_drawn_by_its_name(townlet) -> None:
    """No file of the repository is needed."""
    assert "quickstart" == json.loads(townlet("check", "quickstart", "--json"))["name"]
    assert "evaluate --> promote" in townlet("graph", "quickstart")


def test_editors_find_the_schema_in_the_wheel(townlet, package: Path) -> None:
    """The first line of a shipped schedule leads to it, in place and in a copy that is printed anywhere."""
    schedule = package / "townlet" / "schedules" / "quickstart.yaml"
    schema = ROOT / "docs" / "reference" / "schedule.schema.json"
    for text in (schedule.read_text(encoding="utf-8"), townlet("schedules", "quickstart")):
        path = schedule.parent / text.splitlines()[0].partition("$schema=")[2]
        assert schema.read_bytes() == path.read_bytes()


def test_the_shell_completes_commands(townlet) -> None:
    """The script of each shell names the commands."""
    assert all("replicate" in townlet("completion", shell) for shell in ("bash", "zsh", "fish"))


def test_the_schema_is_printed(townlet) -> None:
    """`townlet schema` prints the document that the repository holds, whatever else is installed besides."""
    schema = json.loads(townlet("schema"))
    repository = json.loads((ROOT / "docs" / "reference" / "schedule.schema.json").read_text(encoding="utf-8"))

    assert repository["properties"] == schema["properties"]


def test_the_wheel_writes_a_report(townlet, tmp_path: Path) -> None:
    """Templates, styles and scripts of pages are in the wheel."""
    pytest.importorskip("jinja2")
    home = shutil.copytree(ROOT / "tests" / "golden" / "v1", tmp_path / "home")
    townlet("report", "latest", "--home", str(home), "--out", "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")

    assert "<h1" in page
    assert "Content-Security-Policy" in page
