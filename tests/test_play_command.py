"""`townlet play` writes a page of the episode that evidence counted, and refuses in a sentence what it cannot show."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

from townlet.cli import run_command

TINY = Path(__file__).parent / "crash" / "tiny.yaml"
SHORT = ("--policy", "teacher:scripted", "--scenario", "queue_conflict", "--days", "1")


def recordings(page: Path) -> list[dict[str, Any]]:
    """Return the recordings that a page holds."""
    found = re.search(r'id="episodes">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return [json.loads(text) for text in json.loads(found[1])["recording"]["values"]]


def values(recording: dict[str, Any]) -> dict[str, float | None]:
    """Return the KPIs of a recording."""
    return {kpi["name"]: kpi["value"] for kpi in recording["kpis"]}


def test_the_episodes_are_those_that_evaluate_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mean over the first two episodes of a seed is what `townlet evaluate` prints of two episodes."""
    out = tmp_path / "town.html"
    shown = []
    for episode in ("0", "1"):
        words = ("play", *SHORT, "--policy", "teacher:random", "--seed", "3", "--episode", episode)
        assert 0 == run_command([*words, "--force", "--out", str(out)]), capsys.readouterr().err
        shown.append([values(each) for each in recordings(out)])
    capsys.readouterr()
    words = ["evaluate", "teacher:scripted", "--against", "teacher:random", *SHORT[2:], "--episodes", "2"]
    assert 0 == run_command([*words, "--seed", "3", "--json"])
    rows = {row["metric"]: row for row in json.loads(capsys.readouterr().out)["metrics"]}

    for name in ("return_per_agent_day", "conflicts", "queue_intensity", "wait_ticks", "deaths"):
        assert rows[name]["candidate"] == pytest.approx((shown[0][0][name] + shown[1][0][name]) / 2, rel=1e-12)
        assert rows[name]["baseline"] == pytest.approx((shown[0][1][name] + shown[1][1][name]) / 2, rel=1e-12)


def test_the_same_command_writes_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The outcome is said on stdout."""
    out = tmp_path / "town.html"
    pages = []
    for _ in range(2):
        assert 0 == run_command(["play", *SHORT, "--force", "--out", str(out)])
        pages.append(out.read_bytes())

    assert pages[0] == pages[1]
    assert "as townlet evaluate --seed 0 --days 1 plays it." in capsys.readouterr().out


def test_a_day_of_eight_agents_fits_a_page(tmp_path: Path) -> None:
    """Two policies in small_town take less than 300 kB, a fifth of what is allowed."""
    out = tmp_path / "town.html"
    words = ("--policy", "teacher:scripted", "--policy", "teacher:planner", "--days", "1")
    assert 0 == run_command(["play", *words, "--force", "--out", str(out)])

    assert out.stat().st_size < 300_000
    assert [8, 8] == [len(each["town"]["agents"]) for each in recordings(out)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "0 policies are named; expected --policy once or twice"),
        (("--policy", "teacher:scripted") * 3, "3 policies are named"),
        (("--policy", "teacher:nobody"), "unknown teacher 'nobody'"),
        ((*SHORT, "--episode", "first"), "--episode first: expected a whole number from 0 to 999,999"),
        ((*SHORT, "--seed", "-1"), "--seed cannot be used; expected a whole number from 0 to 2**63 - 1"),
        (("--policy", "teacher:scripted", "--days", "0"), "--days 0: expected 1 to 1,000,000"),
        (("--policy", "teacher:scripted", "--days", "60"), "a page holds at most 32 days of so many"),
        (("--run", "nowhere", "--days", "2"), "--run says what is played; leave out --days, or --run"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says bad input, and nothing is written."""
    out = tmp_path / "town.html"
    assert 2 == run_command(["play", *words, "--force", "--out", str(out), "--home", str(tmp_path)])

    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_file_that_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only --force replaces it."""
    out = tmp_path / "thesis.html"
    out.write_text("<html>years of work</html>")
    assert 2 == run_command(["play", *SHORT, "--out", str(out)])

    assert "exists already; name another file with --out, or add --force" in " ".join(capsys.readouterr().err.split())
    assert "<html>years of work</html>" == out.read_text()


def test_the_distance_of_pictures_is_for_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A town is recorded at every tick; a warning says that the option did nothing."""
    assert 0 == run_command(["play", *SHORT, "--every", "5", "--out", str(tmp_path / "town.html")])

    assert "--every changes nothing here" in " ".join(capsys.readouterr().err.split())


@pytest.mark.skipif(find_spec("pygame") is None, reason="pygame is not installed")
def test_an_environment_of_another_library_is_a_film(tmp_path: Path) -> None:
    """Two balance a pole side by side; the page stays within its size."""
    out = tmp_path / "film.html"
    words = ("--environment", "gymnasium:CartPole-v1", "--max-steps", "40")
    assert 0 == run_command(
        ["play", *("--policy", "teacher:balance") * 2, *words, "--every", "10", "--force", "--out", str(out)]
    )

    first, second = recordings(out)
    assert [0, 10, 20, 30, 40] == first["film"]["decisions"]
    assert first["film"]["pictures"] == second["film"]["pictures"]
    assert out.stat().st_size < 1_500_000


@pytest.mark.skipif(find_spec("pygame") is None, reason="pygame is not installed")
def test_pictures_may_be_a_gif(tmp_path: Path) -> None:
    """It has a frame for each picture, with both policies side by side; the last one stays for a second."""
    from PIL import Image

    out = tmp_path / "pole.gif"
    words = ("--environment", "gymnasium:CartPole-v1", "--max-steps", "40", "--every", "10", "--out", str(out))
    assert 0 == run_command(["play", *("--policy", "teacher:balance") * 2, *words])

    with Image.open(out) as film:
        assert film.is_animated
        assert film.width > 1.9 * film.height
        film.seek(film.n_frames - 1)
        assert 1000 == film.info["duration"]


def test_a_town_is_no_gif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence says what to write instead, and nothing is written."""
    out = tmp_path / "town.gif"
    assert 2 == run_command(["play", *SHORT, "--out", str(out)])

    assert "a town is drawn by its page; name a file that ends with .html" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_an_episode_of_a_runs_evidence_has_the_kpis_that_were_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page doubts nothing; gain and loss are episodes of the same evidence."""
    home, out = tmp_path / "home", tmp_path / "run.html"
    assert 0 == run_command(["run", str(TINY), "--home", str(home)])
    for episode in ("gain", "loss", "1"):
        capsys.readouterr()
        assert 0 == run_command(
            ["play", "--run", "latest", "--episode", episode, "--force", "--out", str(out), "--home", str(home)]
        )
        said = capsys.readouterr().out
        assert "counted for its candidate against" in said
        assert "is not what the evidence counted" not in said
    assert 2 == run_command(
        ["play", "--run", "latest", "--episode", "99", "--force", "--out", str(out), "--home", str(home)]
    )
    assert "the run's evidence has" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_report_plays_both_extremes_of_the_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded with the KPIs that were counted, with nothing doubted, in the same bytes each time."""
    home, out = tmp_path / "home", tmp_path / "report.html"
    assert 0 == run_command(["run", str(TINY), "--home", str(home)])
    pages = []
    for _ in range(2):
        assert 0 == run_command(["report", "latest", "--force", "--out", str(out), "--home", str(home)])
        pages.append(out.read_bytes())
    capsys.readouterr()

    assert pages[0] == pages[1]
    assert b'id="episodes"' in pages[0]
    assert b"is not what the evidence counted" not in pages[0]
    assert len(pages[0]) < 400_000
