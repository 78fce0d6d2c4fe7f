"""The report as a page: it holds what a reader asks, names stay text, and equal runs give equal bytes."""

import re
import shutil
import sys
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from golden_runs import facts_of

pytest.importorskip("jinja2")

from townlet.cli import run_command
from townlet.dto.run_data import VisitPoint
from townlet.machine.audit.fine_tuning import HandOff
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.glossary import GLOSSARY
from townlet.report.html.run_page import run_page

SECTIONS = (
    "decision",
    "guards",
    "unseen",
    "undo",
    "kpis",
    "terms",
    "machine",
    "timeline",
    "learning",
    "identity",
    "journal",
    "glossary",
)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202egnp.exe" + "W" * 3000


class Reader(HTMLParser):
    """Collects elements and ids of a page, and refuses one that is not nested as it should be."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and that it is open."""
        named = dict(attrs)
        self.tags.append((tag, named))
        if "id" in named:
            self.ids.append(str(named["id"]))
        if tag not in ("meta", "link", "br", "input", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which must be the last that was opened."""
        assert tag == self.open.pop()


def points(count: int, state: str = "ppo") -> tuple[VisitPoint, ...]:
    """Return iterations of two visits."""
    return tuple(
        VisitPoint(
            state=state,
            visit=1 + (2 * n >= count),
            step=n + 1,
            agent_steps=(n % (count // 2) + 1) * 1000,
            numbers={"reward": n / count, "watched": float("nan") if n % 2 else 1.0, "odd": 1.0},
        )
        for n in range(count)
    )


def test_every_section_is_there_and_can_be_reached(facts: ReportFacts) -> None:
    """The page is well nested, every id is there once, and each link of the page leads to one."""
    page = Reader(run_page(facts))
    links = [str(named["href"])[1:] for tag, named in page.tags if tag == "a" and named.get("href", "").startswith("#")]

    assert {*SECTIONS, "glossary"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert set(links) <= set(page.ids)
    assert {"header", "main", "footer", "nav"} <= {tag for tag, _ in page.tags}


def test_headings_skip_no_level(facts: ReportFacts) -> None:
    """Who reads by headings finds each below the one that it belongs to; there is one first line."""
    page = Reader(run_page(evolve(facts, points=points(40))))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]

    assert 1 == levels[0]
    assert 1 == levels.count(1)
    assert [] == [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1]


def test_it_answers_what_a_reader_asks(facts: ReportFacts) -> None:
    """Promoted or not, against what, how sure, what got worse, what was not seen, the way back."""
    text = unescape(re.sub(r"<[^>]+>", " ", run_page(facts)))

    for answer in (
        "Promoted: the weights 433995a58c4b became corridor@champion, as version 1, instead of the script teacher:",
        "was compared with champion (teacher:lazy) in 20 paired episodes",
        "a policy which is no better passes as better: at most 5%",
        "Worse than champion (teacher:lazy)",
        "a mean cannot show rare catastrophes",
        "name what was in force before, teacher:lazy",
        "This environment declares no terms of its reward",
        facts.head,
    ):
        assert answer in text


def test_every_drawing_is_a_picture_with_words(facts: ReportFacts) -> None:
    """Each is well-formed XML, has a label for those who do not see it, and no number that is not finite."""
    page = run_page(evolve(facts, points=points(40), hand_offs=(HandOff(state="ppo", visit=1, begins=0, ends=5000),)))
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)

    assert len(drawings) > 6
    for drawing in drawings:
        root = ET.fromstring(drawing)  # ours
        assert root.attrib["aria-label"]
        assert "nan" not in drawing
        assert "inf" not in re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", drawing)


def test_a_distance_that_nobody_measured_is_no_curve(facts: ReportFacts) -> None:
    """Zero throughout is what an update reports whose anchor has no weight; a zero among others is a gap."""
    zero, one = (
        unescape(run_page(evolve(facts, points=tuple(evolve(each, numbers={"anchor_kl": x}) for each in points(10)))))
        for x in (0.0, 0.5)
    )

    assert "ppo: anchor_kl" not in zero
    assert (
        "anchor_kl (0 throughout: not measured, because its weight in the loss or the rate of the actor is 0)" in zero
    )
    assert "ppo: anchor_kl" in one
    assert "0 throughout" not in one


def test_a_curve_has_a_gap_where_nothing_was_measured(facts: ReportFacts) -> None:
    """While the actor does not learn, no update computes its entropy; a line through 0 would say that it has none."""
    some = tuple(evolve(each, numbers={"entropy": 0.0 if each.step == 5 else 0.4}) for each in points(10))

    assert 2 == run_page(evolve(facts, points=some)).count('class="curve"')


def test_a_table_of_kpis_has_its_values_first_and_says_units_in_words(facts: ReportFacts) -> None:
    """Each cell names its column, because a phone shows it below the name of the KPI."""
    page = run_page(facts)
    labels = re.findall(r'data-label="([^"]*)"', page[page.index('<table class="kpis stack">') :])

    assert ["candidate", "champion (teacher:lazy)", "difference", "unit", "better"] == labels[:5]
    assert ">per agent-day<" in page
    assert ">1/agent-day<" not in page


def test_words_on_the_page_mean_what_the_glossary_says() -> None:
    """One word, one meaning: the page has the sentences of the reference."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "vocabulary.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| `", text, re.MULTILINE))

    assert {word: rows.get(word) for word in GLOSSARY} == dict(GLOSSARY)


def test_a_long_run_stays_small(facts: ReportFacts) -> None:
    """Of a hundred thousand iterations a panel draws the ends of each place."""
    page = run_page(evolve(facts, points=points(100_000)))

    assert len(page) < 400_000


def test_the_same_run_gives_the_same_bytes_elsewhere(home: Path, tmp_path: Path) -> None:
    """A page knows no clock and no path."""
    other = shutil.copytree(home, tmp_path / "another" / "place")

    first, second = run_page(facts_of(home)), run_page(facts_of(other))
    assert first == second
    assert str(tmp_path) not in first


def test_hostile_names_are_text(facts: ReportFacts) -> None:
    """A name from outside adds no element, no attribute and no character that turns text around."""
    assert facts.decision is not None
    reports = tuple(evolve(each, guard=HOSTILE, sentence=HOSTILE) for each in facts.decision.reports)
    edges = tuple(evolve(each, source=HOSTILE, why=HOSTILE, condition=HOSTILE) for each in facts.edges)
    spans = tuple(evolve(each, state=HOSTILE, why=HOSTILE) for each in facts.spans)
    rows = tuple(evolve(each, metric=HOSTILE, baseline=HOSTILE) for each in facts.comparisons)
    run = evolve(
        facts,
        run=HOSTILE,
        created=evolve(facts.created, name=HOSTILE, fingerprint={HOSTILE: HOSTILE}),
        decision=evolve(facts.decision, reports=reports, state=HOSTILE),
        edges=edges,
        spans=spans,
        comparisons=rows,
        reservations=(HOSTILE,),
        problems=(HOSTILE,),
    )
    page, plain = run_page(run), run_page(facts)

    assert not re.search("[\x1b\u202e]", page)
    assert "onerror=alert(1)>" not in page
    kinds = {tag for tag, _ in Reader(page).tags}
    assert kinds <= {tag for tag, _ in Reader(plain).tags}
    assert 2 == page.count("<script>")
    assert r"\u202egnp.exe" in page


def test_lost_episodes_are_said_and_nothing_else_is_lost(home: Path) -> None:
    """Without the home's blobs the journal still says what was decided; the page says what is missing."""
    data = sorted((home / "blobs").rglob("*"))
    for blob in data:
        if blob.is_file():
            blob.unlink()
    page = unescape(run_page(facts_of(home)))

    assert "Promoted: the weights 433995a58c4b" in page
    assert "the episodes cannot be read: the home does not hold them" in page
    assert str(home) not in page


def test_a_torn_journal_is_said(home: Path) -> None:
    """A line that a dying process left unfinished is named, and the rest is told."""
    (journal,) = home.rglob("journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    (head,) = home.rglob("head.json")
    journal.write_bytes(b"".join(lines) + b'{"at": "2026')
    before = head.read_bytes()
    page = unescape(run_page(facts_of(home)))

    assert "the journal ends in a torn line" in page
    assert before == head.read_bytes()


def test_the_command_writes_a_page_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that exists is kept unless it is said otherwise; without the environment the page says what it lacks."""
    target = tmp_path / "r.html"

    assert 0 == run_command(["report", "latest", "--home", str(home), "--out", str(target)])
    first = target.read_bytes()
    assert b"which way its KPIs improve" in first
    assert 2 == run_command(["report", "latest", "--home", str(home), "--out", str(target)])
    assert "exists already" in capsys.readouterr().err
    assert 0 == run_command(["report", "latest", "--home", str(home), "--out", str(target), "--force"])
    assert first == target.read_bytes()


def test_without_a_place_the_page_lies_beside_the_journal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is written anew each time, says where it is, and the run verifies as before."""
    (journal,) = home.rglob("journal.jsonl")
    target = journal.with_name("report.html")

    assert 0 == run_command(["report", "latest", "--home", str(home)])
    first = target.read_bytes()
    assert f"wrote {target}" in "".join(capsys.readouterr().out.splitlines())
    assert 0 == run_command(["report", "latest", "--home", str(home)])
    assert first == target.read_bytes()
    assert 0 == run_command(["audit", "verify", "latest", "--home", str(home)])


def test_the_command_prints_markdown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a pull request: verdict, guards, limits and the way back, on stdout."""
    assert 0 == run_command(["report", "latest", "--home", str(home), "--format", "md"])

    printed = capsys.readouterr().out
    assert printed.startswith("# Promoted: ")
    assert ["Guards", "What this run could not see", "How to undo it"] == re.findall(r"^## (.*)", printed, re.MULTILINE)


def test_a_damaged_journal_is_one_sentence(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that was changed makes no page: the error names it."""
    (journal,) = home.rglob("journal.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b'"better"', b'"bitter"', 1))

    assert 5 == run_command(["report", "latest", "--home", str(home), "--out", str(tmp_path / "r.html")])
    assert "is not valid" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_the_picture_is_a_png(facts: ReportFacts) -> None:
    """Strips and curves in one picture, the same bytes twice, and no formula from a hostile name."""
    pytest.importorskip("matplotlib")
    from townlet.report.picture import run_picture

    assert facts.decision is not None
    reports = tuple(evolve(each, guard="$x^{", sentence="$") for each in facts.decision.reports)
    run = evolve(facts, points=points(20), decision=evolve(facts.decision, reports=reports))

    picture = run_picture(run)
    assert picture.startswith(b"\x89PNG")
    assert picture == run_picture(run)


def test_a_run_without_verdicts_has_a_page_and_a_picture(facts: ReportFacts) -> None:
    """A run that was killed early has little to say, and says it."""
    pytest.importorskip("matplotlib")
    from townlet.report.picture import run_picture

    bare = evolve(
        facts,
        decision=None,
        decisions=(),
        evidence=None,
        evaluation=None,
        comparisons=(),
        gathered=(),
        limitations=None,
        spans=(),
        visits=(),
        promotion=None,
        intent=None,
        state=evolve(facts.state, state="capture", visit=None, visits={}),
    )

    page = run_page(bare)
    assert "No guard was evaluated" in page
    assert "No comparison of policies was judged" in page
    assert run_picture(bare).startswith(b"\x89PNG")


def test_a_missing_library_is_named_with_its_extra(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to install, and nothing was written."""
    for name in [name for name in sys.modules if name.startswith("townlet.report.html")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)

    assert 2 == run_command(["report", "latest", "--home", str(home), "--out", str(tmp_path / "r.html")])
    assert "pip install 'townlet[report]'" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "r.html").exists()


@pytest.mark.slow
def test_a_rehearsal_of_quickstart_has_a_small_page(tmp_path: Path) -> None:
    """A run of the town with curves, hand-off and rollback stays below 400 kB, and says that it only rehearsed."""
    home, page = tmp_path / "home", tmp_path / "r.html"

    assert 0 == run_command(["run", "quickstart", "--rehearse", "--quiet", "--home", str(home)])
    assert 0 == run_command(["report", "latest-rehearsal", "--home", str(home), "--out", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "Rehearsal: nothing was promoted" in text
    assert "ppo: reward" in text
    assert "hand-off" in text
    assert len(text) < 400_000
