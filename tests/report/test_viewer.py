"""The viewer's page says in words what came of the episode, and holds everything that it shows."""

import re

import pytest
from attrs import evolve

pytest.importorskip("jinja2")

from recordings import HOSTILE, pair, without_town

from townlet.report.html.viewer import policy_names, viewer_page, viewer_sentences


def test_the_sentences_say_which_episode_and_how_it_ended() -> None:
    """The outcome first, then where the episode comes from, its length, and what was equal for both."""
    assert [
        "return of c0ffeec0ffee is 21.5, of teacher:scripted 6.25: in this episode c0ffeec0ffee is better by 15.25.",
        "This is episode 3 of seed 7.",
        "It lasts 0.04167 days, for 2 agents.",
        "Learned policies chose their actions greedily.",
        "Both began in the same state, and chance was the same for both.",
    ] == viewer_sentences(pair())


def test_one_policy_is_compared_with_nobody() -> None:
    """The sentence has one number."""
    assert "return of c0ffeec0ffee is 21.5." == viewer_sentences(pair(policies=1))[0]


def test_an_environment_that_ignores_its_seed_is_named() -> None:
    """The two did not play the same episode, and nothing says that they began alike."""
    sentences = viewer_sentences(evolve(pair(), unpaired=True, doubt="What is shown is not what was counted."))

    assert "This environment ignores its seed: the two did not play the same episode." in sentences
    assert "What is shown is not what was counted." == sentences[-1]
    assert not [sentence for sentence in sentences if "same state" in sentence]


def test_a_lower_kpi_can_be_the_better_one() -> None:
    """The direction decides whose number is better."""
    sentences = viewer_sentences(evolve(pair(), objective="conflicts"))

    assert "in this episode c0ffeec0ffee is better by 5." in sentences[0]


def test_a_kpi_that_the_episode_says_nothing_about_is_not_known() -> None:
    """None of its numbers is invented."""
    sentences = viewer_sentences(evolve(pair(), objective="chats"))

    assert "chats is not known of both: the episode says nothing about it." == sentences[0]


def test_equal_policies_have_names_of_their_own() -> None:
    """Two columns with one heading could not be told apart."""
    recorded = pair()
    twice = evolve(recorded, episodes=(recorded.episodes[1], recorded.episodes[1]))

    assert ["teacher:scripted (1)", "teacher:scripted (2)"] == policy_names(twice)
    assert "return of both is 6.25." == viewer_sentences(twice)[0]


def test_the_table_says_what_came_of_it_without_a_script() -> None:
    """Value of each policy, difference, and whether that is better; a dash for what is not known."""
    page = viewer_page(pair())
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]

    assert ["return", "per", "agent-day,", "higher", "21.5", "6.25", "+15.25", "better"] in rows
    assert ["conflicts", "per", "agent-day,", "lower", "3", "8", "-5", "better"] in rows
    assert ["chats", "per", "agent-day", "–", "2", "–"] in rows
    assert "JavaScript is off" in page


def test_the_page_asks_for_nothing() -> None:
    """No address of another place is in it, and the policy allows none."""
    page = viewer_page(pair())

    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|import\(|\beval\(", page)
    assert "default-src &#39;none&#39;" in page


def test_names_from_outside_are_text() -> None:
    """A name ends no element, and what reverses text is shown as an escape."""
    recorded = pair((HOSTILE, HOSTILE))
    episodes = tuple(
        evolve(each, policy=HOSTILE, kpis=(evolve(each.kpis[0], name=HOSTILE, unit=HOSTILE), *each.kpis[1:]))
        for each in recorded.episodes
    )
    words = {"scenario": HOSTILE, "objective": HOSTILE, "origin": HOSTILE, "doubt": HOSTILE}
    page = viewer_page(evolve(recorded, episodes=episodes, **words))

    assert page.count("<script>") == viewer_page(pair()).count("<script>")
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert r"\\\\u202egnp.exe" in page


@pytest.mark.parametrize("policies", [1, 2])
def test_equal_recordings_give_equal_bytes(policies: int) -> None:
    """No clock is in the page; the viewer itself takes less than 75 kB."""
    recorded = pair(policies=policies)

    assert viewer_page(recorded) == viewer_page(pair(policies=policies))
    assert len(viewer_page(recorded)) < 75_000


def test_an_environment_without_a_town_has_no_agents_to_follow() -> None:
    """Map, legend and agents are left out, and the page still names its environment."""
    page = viewer_page(evolve(without_town(pair()), scenario="default", environment="gymnasium:Odd-v0"))

    assert "<h1>gymnasium:Odd-v0: c0ffeec0ffee beside teacher:scripted</h1>" in page
    assert not [word for word in ("How to read the map", "Who does what", 'id="follow"') if word in page]
