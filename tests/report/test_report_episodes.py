"""A report plays two episodes, calls them what they are, and says in a sentence where it plays none."""

import re
from html import unescape
from pathlib import Path

import pytest
from attrs import evolve

pytest.importorskip("jinja2")

from golden_runs import facts_of
from recordings import pair

import townlet
from townlet.cli import run_command
from townlet.commands.report import _why_unplayed
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.html.episodes import episodes_section
from townlet.report.html.run_page import run_page


def test_two_episodes_are_played_on_the_page(facts: ReportFacts) -> None:
    """Each has a title, its sentences and its recording; both share one viewer."""
    gain, loss = (evolve(pair(), extreme=extreme, episode=n) for n, extreme in enumerate(("gain", "loss")))
    page, text = run_page(facts, (gain, loss)), unescape(run_page(facts, (gain, loss)))

    assert "The largest gain: episode 0 of hamlet" in text
    assert "The smallest gain: episode 1 of hamlet" in text
    assert "return: " in text
    assert "difference 15.25. It lasts 0.04167 days, for 2 agents. Both began in the same state" in text
    assert f"townlet play --run {facts.run} --episode loss --out loss.html" in text
    ids = re.findall(r' id="([^"]*)"', page)
    assert {"episodes", "episodes-1", "viewer", "choice"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert 1 == page.count("townletViewer = {")
    assert page == run_page(facts, (gain, loss))


@pytest.mark.parametrize(
    ("own", "other", "extreme", "title", "word"),
    [
        (3.0, 1.0, "gain", "The largest gain", "gain"),
        (1.0, 3.0, "gain", "The smallest loss", "4 --scenario hamlet"),
        (3.0, 1.0, "loss", "The smallest gain", "loss"),
        (1.0, 3.0, "loss", "The largest loss", "loss"),
        (1.0, 1.0, "gain", "No difference", "4 --scenario hamlet"),
    ],
)
def test_an_episode_is_called_what_it_is(own: float, other: float, extreme: str, title: str, word: str) -> None:
    """A gain that is none is not called one, and no command asks for it."""
    recorded = pair()
    episodes = tuple(
        evolve(each, kpis=(evolve(each.kpis[0], value=value),))
        for each, value in zip(recorded.episodes, (own, other), strict=True)
    )

    section = episodes_section("r", [evolve(recorded, episodes=episodes, extreme=extreme, episode=4)])
    assert (f"{title}: episode 4 of hamlet",) == section.titles
    assert (f"townlet play --run r --episode {word} --out {word.split(maxsplit=1)[0]}.html",) == section.commands


def test_why_no_episode_is_played_is_said(facts: ReportFacts) -> None:
    """In one sentence, with the command that plays it where it can be played; without a reason the section is gone."""
    page = unescape(run_page(facts, (), "They cannot be played here: the environment is not here."))

    assert "They cannot be played here: the environment is not here." in page
    assert "--episode gain" not in page
    assert "This command writes the one in which the candidate did worst" in page
    assert f"townlet play --run {facts.run} --episode loss --out loss.html" in page
    assert 'id="viewer"' not in page
    assert "Episodes to look at" not in run_page(facts)


def test_the_command_says_why_it_plays_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its environment a run's episodes cannot be played; with --no-episodes nothing is said of them."""
    (journal,) = home.rglob("journal.jsonl")
    target = journal.with_name("report.html")

    assert 0 == run_command(["report", "latest", "--home", str(home)])
    assert b"They cannot be played here: the environment is not here, or may not be imported." in target.read_bytes()
    assert 0 == run_command(["report", "latest", "--home", str(home), "--no-episodes"])
    assert b"Episodes to look at" not in target.read_bytes()


def test_lost_and_refused_weights_are_the_reason_that_is_given(home: Path) -> None:
    """Where the environment is here and weights that played are lost or damaged, the sentence says which."""
    facts, run = facts_of(home), townlet.open_run("latest", home=home)
    assert facts.evidence is not None
    candidate = facts.evidence.table.candidate
    run.blobs.path(candidate).unlink()

    lost = _why_unplayed(run, facts)
    assert f"the weights {candidate[:12]} are not in the home" in lost
    damaged = run.blobs.put(b"no weights")
    evidence = evolve(facts.evidence, table=evolve(facts.evidence.table, candidate=damaged))
    assert f"the weights {damaged[:12]} are refused" in _why_unplayed(run, evolve(facts, evidence=evidence))
