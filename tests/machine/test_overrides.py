"""Values in place of a schedule's own: `--set` with a slip gets a sentence in the words that were typed."""

from pathlib import Path

import pytest
from catalogue import catalogue, describe
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.schedule import Plan
from townlet.errors import BadInputError
from townlet.machine.schedule.loader import ScheduleError, load_text
from townlet.machine.schedule.overrides import Override, overridden, parse_overrides
from townlet.machine.schedule.yaml_source import read
from townlet.machine.schedule.yaml_text import edit

DATA = Path(__file__).parent / "data"
TEXT = (DATA / "small_town.yaml").read_bytes()
SLIPS = (
    "states.ppo.with.learning_rat=3e-4",
    "states.pp.with.learning_rate=3e-4",
    "state.ppo.with.learning_rate=3e-4",
    "states.ppo.with.learning_rate=fast",
    "states.ppo.with.learning_rate",
    "states.evaluate.next.9.to=promote",
    "states.evaluate.next.1.to=promot",
    "guards.beter.better_by.absolute=1",
    "evidence.full.episods=[20, 40]",
    "environment.wolds=8",
    "teacher=[scripted",
    "states.ppo.strategy.name=ppo",
)


def plan_with(*words: str, text: bytes = TEXT) -> Plan:
    """Return the plan of a schedule with overrides of a command line."""
    return load_text(text, "x.yaml", catalogue(), describe, overrides=parse_overrides(words))


def slip(words: str) -> str:
    """Return the sentence by which a slip of the finger is refused."""
    with pytest.raises(BadInputError) as caught:
        plan_with(words)
    return str(caught.value)


def test_every_slip_gets_its_sentence() -> None:
    """Names, keys, options, values, indices: each sentence begins with the words typed and names what was meant."""
    assert (DATA / "slips.txt").read_text("utf-8") == "".join(f"{slip(words)}\n" for words in SLIPS)


def test_a_value_is_read_as_a_schedule_s_text_is() -> None:
    """Numbers, lists, blocks and nulls; what the checker proves is the schedule with them."""
    plan = plan_with("states.ppo.with.learning_rate=3e-4", "budget.agent_steps=2.2e7", "states.bc.with={patience: 2}")
    assert (3e-4, 22_000_000) == (plan.options["ppo"].learning_rate, plan.schedule.budget.agent_steps)  # type: ignore[attr-defined]
    assert 2 == plan.options["bc"].patience  # type: ignore[attr-defined]
    assert plan_with("seed=5", "seed=6").schedule.seed == 6


def test_mistakes_of_the_file_keep_their_place() -> None:
    """What stands in the text is told with line and column, what was typed without, both at once."""
    with pytest.raises(ScheduleError) as caught:
        plan_with("environment.wolds=8", text=TEXT.replace(b"initial: capture", b"initial: captur"))
    typed, placed, *_ = str(caught.value).splitlines()
    assert typed == "--set environment.wolds=8: unknown key 'wolds'; did you mean 'worlds'?"
    assert placed.startswith("x.yaml:")
    assert "unknown state 'captur'" in placed


def test_what_an_override_breaks_elsewhere_is_told_with_the_override() -> None:
    """A state that nothing reaches any more stands in the file; the first line says what the file was read with."""
    with pytest.raises(ScheduleError) as caught:
        plan_with("initial=ppo")
    first, *_ = str(caught.value).splitlines()
    assert first == "x.yaml: read with --set initial=ppo"


def test_the_text_keeps_comments_and_order() -> None:
    """The run's copy is the file with the values in it; it means what was checked, to the last type."""
    given = overridden(read(TEXT).data, parse_overrides(["states.ppo.with.learning_rate=3e-4", "budget.disk=2GiB"]))
    text = edit(TEXT, ((place, override.text) for override, place in given.places), given.data)
    assert given.data == read(text).data
    assert text.count(b"#") == TEXT.count(b"#")
    assert b"learning_rate: 3e-4" in text


PADDED = b"""\
# first\r
seed:     7   # of all\r
guards:\r
  a:    {metric: x.y,  at_least: 0.20}\r
  long: {metric: 'x.z', at_most: [1,  2]}"""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_value_that_takes_the_place_of_another_changes_no_other_byte(mark: bytes) -> None:
    """Padding, quotes, the ends of lines and a byte order mark stay as they were."""
    words = ["seed=8", "guards.a.at_least=[1, 2]", "guards.long.metric=a.b", "guards.long.at_most.1=3", "seed=9"]
    given = overridden(read(mark + PADDED).data, parse_overrides(words))
    text = edit(mark + PADDED, ((place, override.text) for override, place in given.places), given.data)
    expected = PADDED.replace(b"7 ", b"9 ").replace(b"0.20", b"[1, 2]").replace(b"'x.z'", b"a.b")
    assert mark + expected.replace(b"1,  2", b"1,  3") == text


@pytest.mark.parametrize(
    "words",
    ["seed=", "name=", "name='a # b'", "name=a, b", "guards.a.metric=a, b", "name=\n- 1", "guards.new={x: 1}"],
)
def test_what_an_edit_of_one_value_would_break_means_the_same(words: str) -> None:
    """A value that is absent, empty, or would be read otherwise at its place is written in another way."""
    source = PADDED + b"\r\nname:\r\n"
    given = overridden(read(source).data, parse_overrides([words]))
    text = edit(source, ((place, override.text) for override, place in given.places), given.data)
    assert repr(given.data) == repr(read(text).data)


def test_a_change_names_what_stood_before() -> None:
    """The journal keeps path, value before and value after; a value that is the schedule's own is no change."""
    data = {"seed": 7, "states": {"ppo": {"with": {"start_from": "clone"}}}}
    words = ["seed=7", "states.ppo.with.start_from=champion", "states.ppo.with.days=2"]
    given = overridden(data, parse_overrides(words))
    assert ["states.ppo.with.start_from=champion (before: clone)", "states.ppo.with.days=2 (before: not there)"] == [
        str(change) for change in given.changes
    ]
    assert data["seed"] == 7


def test_a_key_may_have_dots() -> None:
    """A path goes on with the longest key that is there."""
    given = overridden({"policies": {"v1.2": {"file": "a"}, "v1": {}}}, parse_overrides(["policies.v1.2.file=b"]))
    assert given.data == {"policies": {"v1.2": {"file": "b"}, "v1": {}}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=4,
)


@given(value=PLAIN | st.sampled_from(["a\x85b", "\u2028", "\ufeffx", "\x7f", "😀"]))
def test_a_python_value_is_taken_as_it_is(value: object) -> None:
    """Text with any character too: none ends a line that was none, and none is refused."""
    assert value == Override.of("a", value).value


def test_a_message_does_not_repeat_a_long_value() -> None:
    """Its beginning says which one is meant."""
    with pytest.raises(BadInputError) as caught:
        parse_overrides(["a=" + "[" * 100_000])
    assert len(str(caught.value)) < 500


def test_a_python_value_is_plain_data() -> None:
    """A dictionary of paths: numbers, lists and blocks; an object or a NaN is refused in its name."""
    assert Override.of("a.b", 3e-4).words == ("--set", "a.b=0.0003")
    for value in (object(), float("nan")):
        with pytest.raises(BadInputError, match=r"^overrides\['a\.b'\]: expected plain data"):
            Override.of("a.b", value)
    with pytest.raises(BadInputError, match="expected keys with dots"):
        Override.of("a..b", 1)
