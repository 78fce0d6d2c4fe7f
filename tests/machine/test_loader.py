"""The loader: positions, strictness, and every mistake at once."""

from pathlib import Path

import pytest
from attrs import evolve
from catalogue import catalogue, describe
from hypothesis import example, given
from hypothesis import strategies as st

from townlet.dto.schedule import Plan
from townlet.dto.strategies import PPOSpec
from townlet.errors import BadInputError, TorchNotAvailableError
from townlet.machine.schedule.loader import ScheduleError, load, load_text, require_torch, torch_needs
from townlet.machine.schedule.yaml_source import Position

DATA = Path(__file__).parent / "data"
SMALL_TOWN = DATA / "small_town.yaml"


def plan_of(text: str | bytes) -> Plan:
    """Return the plan of a schedule's text."""
    return load_text(text if isinstance(text, bytes) else text.encode(), "x.yaml", catalogue(), describe)


def refused(text: str | bytes) -> list[tuple[int, int, str]]:
    """Return line, column and message of every mistake in a text that must be refused."""
    with pytest.raises(ScheduleError) as caught:
        plan_of(text)
    return [(m.position.line, m.position.column, m.message) for m in caught.value.mistakes]


def edited(*changes: tuple[str, str]) -> str:
    """Return the sound schedule with pieces of its text replaced, each of which must be there once."""
    text = SMALL_TOWN.read_text("utf-8")
    for old, new in changes:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    return text


def test_the_reference_schedule_is_sound() -> None:
    """The example of the design loads, with every state's options structured and the longest walk known."""
    plan = load(SMALL_TOWN, catalogue(), describe)
    assert {"capture": 1, "bc": 1, "ppo": 4, "evaluate": 4, "rollback": 3, "promote": 1} == dict(plan.most_visits)
    options = plan.options["ppo"]
    assert isinstance(options, PPOSpec)
    assert (2_000_000, "quick", 2) == (
        options.agent_steps,
        options.watch and options.watch.evidence,
        len(options.ramps),
    )


def test_ten_mistakes_are_reported_at_once() -> None:
    """Ten different mistakes in ten places come together, each with file, line, column, the line and a caret."""
    text = (DATA / "ten_mistakes.yaml").read_bytes()
    with pytest.raises(ScheduleError) as caught:
        load_text(text, "ten_mistakes.yaml", catalogue(), describe)
    assert 10 == len(caught.value.mistakes)
    assert (DATA / "ten_mistakes.txt").read_text("utf-8") == f"{caught.value}\n"
    assert 2 == caught.value.exit_code


def test_a_syntax_error_comes_alone_with_its_place() -> None:
    """Text that is no YAML is told once, where the parser stopped."""
    assert [(2, 5)] == [place[:2] for place in refused("schedule: townlet/v1\na: b: c\n")]


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        (b"", (1, 1), "empty"),
        (b"a: 1\n---\nb: 2\n", (2, 1), "second"),
        (b"name: \xff\n", (1, 7), "UTF-8"),
        (b"a: b\nname: \x00\n", (2, 7), "unprintable"),
        (b'name: "\\UFFFFFFFF"\n', (1, 1), "not YAML"),
        (b"%YAML 1.1\n---\nname: yes\n", (2, 1), "1.2"),
        (b"a: {metric: b[c].d}\n", (1, 14), "stands in quotes"),
        (b"[" * 1000, (1, 33), "nesting"),
        (b"#" * (2**20 + 1), (1, 1), "1048576"),
    ],
)
def test_hostile_text_is_refused_in_one_sentence(text: bytes, place: tuple[int, int], word: str) -> None:
    """Nothing but one mistake comes of text that cannot be a schedule, whatever it tries."""
    mistakes = refused(text)
    assert 1 == len(mistakes)
    assert place == mistakes[0][:2]
    assert word in mistakes[0][2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: small-town\nseed", "name: &n small-town\nseed"), "anchors are refused"),
        (("scripted                  ", "*n                        "), "aliases are refused"),
        (("teacher: scripted  ", "teacher: !!python/name:os.system scripted  "), "tags are refused"),
        (("seed: 7  ", "seed: 7\n7: seed  "), "expected text as a key, found 7"),
        (("seed: 7  ", "seed: 7\nseed: 8  "), "duplicate key 'seed'; it stands in line 4"),
        (("seed: 7  ", "seed: 7\n? [seed]\n: 8\n#"), "expected text as a key, found something else"),
        (("name: small-town\nseed", 'name: "\\ud800"\nseed'), "half of a surrogate pair"),
        (("seed: 7  ", f"seed: {'9' * 5000}  "), "number of at most 64 characters"),
    ],
)
def test_what_yaml_can_but_a_schedule_may_not_is_one_mistake(change: tuple[str, str], message: str) -> None:
    """Anchors, aliases, tags, odd and duplicate keys are told once and cause no second message."""
    text = SMALL_TOWN.read_text("utf-8").replace(*change, 1)
    mistakes = refused(text)
    assert 1 == len(mistakes), mistakes
    assert message in mistakes[0][2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("townlet/v1", "townlet/v2"), "townlet/v1"),
        (("seed: 7 ", "seed: 1.5 "), "expected a whole number, found 1.5"),
        (("seed: 7 ", "seed: -1 "), "expected a seed between 0"),
        (("agent_steps: 80000000", "agent_steps: -1"), "expected more than 0, found -1"),
        (("wall_clock: 2h", "wall_clock: 120"), "expected a duration with its unit"),
        (("wall_clock: 2h", "wall_clock: 0h"), "expected more than 0"),
        (("at_least: 0.20}", "at_least: .nan}"), "expected a finite number"),
        (("at_least: 0.20}", "at_least: .inf}"), "expected a finite number"),
        (("at_least: 0.20}", "at_least: 20%}"), "expected a number, found '20%'"),
        (("worlds: 64", "world: 64"), "unknown key 'world'; did you mean 'worlds'?"),
        (("label_smoothing: 0.05", "label_smoothing: no"), "expected a number, found 'no'"),
    ],
)
def test_one_wrong_value_is_one_mistake(change: tuple[str, str], message: str) -> None:
    """Wrong types, units and ranges are told once, at their place, and nothing is converted."""
    mistakes = refused(edited(change))
    assert 1 == len(mistakes), mistakes
    assert message in mistakes[0][2]
    line = edited(change).split("\n")[mistakes[0][0] - 1]
    assert change[1].partition(": ")[2].strip(" }") in line


def test_an_integer_is_accepted_where_a_float_is_meant() -> None:
    """at_most: 0 is the number 0.0."""
    assert 0.0 == load(SMALL_TOWN, catalogue(), describe).schedule.guards["finite"].at_most


def test_seed_scenario_and_worlds_can_be_given_from_outside() -> None:
    """What the command line gives takes the place of what stands in the file."""
    plan = load(SMALL_TOWN, catalogue(), describe, seed=8, scenario="crowded", worlds=2)
    spec = plan.schedule
    assert (8, "crowded", 2) == (spec.seed, spec.environment.scenario, spec.environment.worlds)


def test_a_bad_seed_from_outside_is_refused_as_such() -> None:
    """The message says that the value was not the file's."""
    with pytest.raises(ScheduleError, match="given in place of what stands here"):
        load(SMALL_TOWN, catalogue(), describe, seed=-1)


def test_a_missing_file_is_one_sentence() -> None:
    """A path that leads nowhere is bad input, not a traceback."""
    with pytest.raises(BadInputError, match="cannot read schedule"):
        load(DATA / "nowhere.yaml", catalogue(), describe)


def test_weights_from_outside_must_exist_and_match(tmp_path: Path) -> None:
    """A policy's file is looked for next to the schedule and must have the digest that is named."""
    text = edited(("guards:\n", "policies: {given: {file: w.safetensors, sha256: " + "a" * 64 + "}}\nguards:\n"))
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    with pytest.raises(ScheduleError, match=r"cannot read 'w\.safetensors' next to the schedule"):
        load(tmp_path / "s.yaml", catalogue(), describe)
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    with pytest.raises(ScheduleError, match="has another digest"):
        load(tmp_path / "s.yaml", catalogue(), describe)


def test_missing_torch_is_named_by_state_and_stops_a_run() -> None:
    """States that ask for a GPU need it; the plan is sound without, and a run is refused with the extra."""
    plan = load(SMALL_TOWN, catalogue(torch=False), describe)
    assert () == torch_needs(plan, catalogue(torch=False))
    require_torch(plan, catalogue(torch=False))
    options = {name: evolve(plan.options[name], device="cuda") for name in ("bc", "ppo")}
    plan = evolve(plan, options={**plan.options, **options})
    assert ("bc", "ppo") == torch_needs(plan, catalogue(torch=False))
    assert () == torch_needs(plan, catalogue())
    with pytest.raises(TorchNotAvailableError, match=r"bc, ppo needs torch.*townlet\[torch\]"):
        require_torch(plan, catalogue(torch=False))


def test_control_characters_never_reach_the_terminal() -> None:
    """Names are shown with what cannot be printed replaced."""
    with pytest.raises(ScheduleError) as caught:
        plan_of('name: "\\e[2J"\n')
    assert all(character.isprintable() or character == "\n" for character in str(caught.value))


LINES = SMALL_TOWN.read_text("utf-8").split("\n")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@example(b"? ")
@example(b"a: |\n b\n- c")
def test_any_bytes_give_a_plan_or_a_schedule_error(text: bytes) -> None:
    """Whatever is read, nothing but the one error comes of it."""
    with pytest.raises(ScheduleError):
        plan_of(text)


@given(st.data())
def test_a_damaged_schedule_gives_a_plan_or_a_schedule_error(data: st.DataObject) -> None:
    """Lines lost, doubled, cut and swapped, words replaced: a plan, or the one error with places inside the text."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["lose", "double", "cut", "splice", "word"]))
        if kind == "lose" and len(lines) > 1:
            del lines[index]
        elif kind == "double":
            lines.insert(index, lines[index])
        elif kind == "cut":
            lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
        elif kind == "splice":
            lines[index] += data.draw(
                st.sampled_from(["{", "]", ": 1", " &a", " *a", " !x", "\t", " - ", '"', "5", "~"])
            )
        else:
            words = lines[index].split(" ")
            at = data.draw(st.integers(0, len(words) - 1))
            words[at] = data.draw(
                st.sampled_from(["0", "-1", "true", "hold", "ppo", "[]", "{}", "~", "1e999", "evaluate"])
            )
            lines[index] = " ".join(words)
    try:
        plan = plan_of("\n".join(lines))
    except ScheduleError as error:
        places = [mistake.position for mistake in error.mistakes]
    else:
        places = [Position(1, 1)]
        assert set(plan.schedule.states) == set(plan.options) == set(plan.most_visits)
    assert all(1 <= place.line <= len(lines) + 1 and place.column >= 1 for place in places)
    assert places
