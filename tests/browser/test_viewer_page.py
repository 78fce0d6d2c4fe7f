"""The viewer in a browser: it plays, scrubs, follows, obeys keys and its address, and shows names as text."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any

import pytest
from recordings import HOSTILE, pair, without_town

pytest.importorskip("jinja2")

from townlet.report.html.viewer import viewer_page

Opened = Callable[..., Any]
LAST = "60"


@pytest.fixture
def opened(open_page: Any, tmp_path: Path) -> Iterator[Opened]:
    """Return a function that opens a page's text from disk; what a page complains of, or asks for, fails the test."""
    with ExitStack() as stack:

        def opened_page(text: str, address: str = "", **options: Any) -> Any:
            file = tmp_path / "page.html"
            file.write_text(text, encoding="utf-8")
            watched = stack.enter_context(open_page(file, **options))
            stack.callback(watched.assert_silent)
            if address:
                watched.page.goto(f"{file.as_uri()}{address}")
                watched.page.reload()
            return watched.page

        yield opened_page


def see(page: Any, clock: str, play: str = "Play") -> None:
    """Wait until the clock shows a moment, and the button what it does next."""
    from playwright.sync_api import expect

    expect(page.locator("#clock")).to_have_text(clock)
    expect(page.locator("#play")).to_have_text(play)


def painted(page: Any, canvas: str = "stage-0") -> int:
    """Return how many colours a canvas shows."""
    return int(
        page.evaluate(
            """(id) => { const c = document.getElementById(id);
            const data = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
            return new Set(data).size; }""",
            canvas,
        )
    )


def test_both_towns_are_drawn_and_the_clock_stands_at_the_beginning(opened: Opened) -> None:
    """Nothing plays by itself."""
    page = opened(viewer_page(pair()))
    see(page, "day 1, 08:00")

    assert painted(page, "stage-0") > 8
    assert painted(page, "stage-1") > 8


def test_it_plays_to_the_end_and_stops_there(opened: Opened) -> None:
    """The button says what it does next; the KPIs so far become those of the episode."""
    page = opened(viewer_page(pair()))
    page.select_option("#speed", "300")
    page.click("#play")
    see(page, "day 1, 09:00")

    assert ["21.5", "6.25", "+15.25 better"] == [
        page.text_content(f"#kpi-0-{column}") for column in ("0", "1", "difference")
    ]
    assert LAST == page.input_value("#scrub")


def test_scrubbing_moves_everything(opened: Opened) -> None:
    """Clock, KPIs, what each agent does, events."""
    page = opened(viewer_page(pair()))
    page.fill("#scrub", "30")
    see(page, "day 1, 08:30")

    assert "10.75" == page.text_content("#kpi-0-0")
    assert "" == page.text_content("#status")
    page.fill("#scrub", "35")
    see(page, "day 1, 08:35")
    assert "no water" == page.text_content("#status")
    assert "day 1, 08:31 water fails" == page.text_content("#events-0 li")
    page.fill("#scrub", "30")
    see(page, "day 1, 08:30")
    assert ["uses Ada", "waits for Ada, number 1"] == page.locator("#people-0 .doing").all_text_contents()
    assert "day 1, 08:20 Ada and Ben quarrel at Ada (0.4)" == page.text_content("#events-0 li")


def test_keys_do_what_the_page_says(opened: Opened) -> None:
    """Space, arrows, ends, conflicts, speed, digits, Escape."""
    page = opened(viewer_page(pair()))
    for key, expected in (
        ("ArrowRight", "08:06"), (".", "08:07"), ("]", "08:20"), ("]", "08:50"), ("[", "08:20"), ("End", "09:00"),
        (",", "08:59"), ("ArrowLeft", "08:53"), ("Home", "08:00"),
    ):  # fmt: skip
        page.keyboard.press(key)
        see(page, f"day 1, {expected}")
    page.keyboard.press("1")
    assert "1" == page.input_value("#follow")
    page.keyboard.press("Escape")
    assert "" == page.input_value("#follow")
    slower = page.input_value("#speed")
    page.keyboard.press("+")
    assert float(page.input_value("#speed")) > float(slower)
    page.keyboard.press(" ")
    assert "Pause" == page.text_content("#play")
    page.keyboard.press(" ")
    assert "Play" == page.text_content("#play")


def test_the_address_holds_moment_and_agent(opened: Opened) -> None:
    """It leads there, it follows what a person does, and nonsense in it changes nothing."""
    page = opened(viewer_page(pair()), "#t=20&agent=1")
    see(page, "day 1, 08:20")
    assert "1" == page.input_value("#follow")
    page.keyboard.press("ArrowRight")
    assert page.url.endswith("#t=26&agent=1")
    page.evaluate("location.hash = '#t=1e999&agent=77'")
    see(page, "day 1, 08:26")
    assert "" == page.input_value("#follow")


def test_a_click_on_an_agent_follows_it(opened: Opened) -> None:
    """On the map and in the list; another click follows nobody."""
    page = opened(viewer_page(pair()))
    box = page.locator("#stage-0").bounding_box()
    cell = box["width"] / (16 + 1.8)
    page.mouse.click(box["x"] + cell * (0.9 + 12.5), box["y"] + cell * (0.9 + 4.5))
    assert "1" == page.input_value("#follow")
    page.click("#people-1 tr:nth-child(2) button")
    assert "" == page.input_value("#follow")


def test_it_works_in_a_frame_without_an_address(opened: Opened) -> None:
    """As notebooks embed pages."""
    page = opened(f'<!doctype html><iframe srcdoc="{escape(viewer_page(pair()))}" width="900" height="900"></iframe>')
    frame = page.frame_locator("iframe")
    frame.locator("#forward").click()
    page.wait_for_timeout(100)

    assert "day 1, 08:06" == frame.locator("#clock").text_content()


def test_without_javascript_the_page_says_what_came_of_it(opened: Opened) -> None:
    """The outcome and the table of KPIs are read, and no dead control stands beside them."""
    page = opened(viewer_page(pair()), scripts=False)

    assert page.get_by_text("JavaScript is off").is_visible()
    assert page.get_by_role("cell", name="+15.25 better").is_visible()
    assert not page.locator("#play").is_visible()
    assert not page.locator("#stage-0").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(opened: Opened, scheme: str) -> None:
    """375 pixels wide, nothing sticks out; the ground follows the colour scheme."""
    page = opened(viewer_page(pair()), width=375, height=700, dark=scheme == "dark")
    see(page, "day 1, 08:00")

    assert 375 >= page.evaluate("document.documentElement.scrollWidth")
    assert page.locator("#play").is_visible()
    red = page.evaluate("document.getElementById('stage-0').getContext('2d').getImageData(4, 4, 1, 1).data[0]")
    assert (red > 200) == (scheme == "light")


@pytest.mark.parametrize("width", [1280, 375, 320])
def test_no_choice_is_cut_off(opened: Opened, width: int) -> None:
    """Speed and agent are read whole beside the arrow of their list, and nothing sticks out."""
    page = opened(viewer_page(pair()), width=width)
    see(page, "day 1, 08:00")

    assert width >= page.evaluate("document.documentElement.scrollWidth")
    for name in ("#speed", "#follow"):
        choice = page.locator(name)
        shown = choice.evaluate("each => each.offsetWidth")
        assert shown == choice.evaluate("each => { each.style.maxWidth = 'none'; return each.offsetWidth; }")


def test_names_from_outside_are_text(opened: Opened) -> None:
    """On the map, in lists and in events; nothing of them runs."""
    page = opened(viewer_page(pair((HOSTILE, "B" * 5000))), "#t=25")
    see(page, "day 1, 08:25")

    assert "owned" not in page.title()
    assert "</script><script>document.title='owned'" in page.text_content("#people-0 tr:first-child .doing")
    assert 1280 >= page.evaluate("document.documentElement.scrollWidth")


def test_an_environment_that_draws_nothing_has_curves(opened: Opened) -> None:
    """With the same clock, in decisions."""
    page = opened(viewer_page(without_town(pair())), "#t=5")
    see(page, "decision 5")

    assert painted(page) > 2


def test_names_on_the_map_do_not_cover_each_other(opened: Opened) -> None:
    """Each finds a side of its place; one that finds none is left out, unless somebody waits there."""
    page = opened(viewer_page(pair()))
    boxes = page.evaluate(
        """() => { const find = townletViewer.labels(), frame = { left: 0, right: 200, top: 0, bottom: 100 };
        const box = (left) => ({ left, right: left + 10, top: 40, bottom: 50 });
        const thing = (left, urgent) => ({ box: box(left), width: 90, height: 16, urgent });
        const things = [thing(90, false), thing(100, false), thing(110, true), ...Array(20).fill(thing(100, false))];
        return find(things, things.map((each) => each.box), [], frame).map((place) => place && place.own); }"""
    )
    shown = [box for box in boxes if box is not None]

    assert len(shown) < len(boxes)
    assert boxes[2] is not None
    assert [] == [
        (a, b)
        for n, a in enumerate(shown)
        for b in shown[:n]
        if a["left"] < b["right"] and b["left"] < a["right"] and a["top"] < b["bottom"] and b["top"] < a["bottom"]
    ]


def test_what_is_off_the_screen_is_written_when_it_stands_still(opened: Opened) -> None:
    """While the episode plays only what is seen is written; a pause, or scrolling there, writes the rest."""
    page = opened(viewer_page(pair()), height=300)
    from playwright.sync_api import expect

    doing = "#people-0 tr:first-child .doing"
    first = page.text_content(doing)
    page.select_option("#speed", "15")
    page.click("#play")
    expect(page.locator("#clock")).to_have_text(re.compile("08:[2345]|09:00"))

    assert first == page.text_content(doing)
    page.click("#play")
    page.wait_for_timeout(200)
    assert first != page.text_content(doing)


@pytest.mark.slow
def test_it_runs_smoothly(opened: Opened) -> None:
    """Drawing takes less than half of a frame at 60 a second, measured as the time of a thousand redraws."""
    page = opened(viewer_page(pair()))
    page.click("#play")
    milliseconds = page.evaluate(
        """() => new Promise((done) => { const spent = []; let before = 0;
        const look = (now) => { if (before) spent.push(now - before); before = now;
          if (spent.length < 120) requestAnimationFrame(look);
          else done(spent.sort((a, b) => a - b)[60]); };
        requestAnimationFrame(look); })"""
    )
    assert milliseconds < 25
