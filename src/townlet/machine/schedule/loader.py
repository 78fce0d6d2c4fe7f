"""Load a schedule: from its text to a sound plan, or to all its problems at once with their positions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import frozen

from townlet.dto import codec
from townlet.dto.codec import Problem
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.schedule import EnvironmentSpec, Plan, ScheduleSpec
from townlet.errors import BadInputError, TorchNotAvailableError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.schedule.check_graph import check_edges, check_graph
from townlet.machine.schedule.check_options import check_ignored_options
from townlet.machine.schedule.check_plan import check_plan
from townlet.machine.schedule.check_ranges import check_ranges
from townlet.machine.schedule.check_sections import check, check_policies, check_signers
from townlet.machine.schedule.overrides import Overridden, Override, overridden
from townlet.machine.schedule.partial import Describe, PartialSchedule, parse_sections
from townlet.machine.schedule.reachability import Reachability
from townlet.machine.schedule.yaml_source import MAX_BYTES, Document, SourceError, SourceSyntaxError, read
from townlet.ports import EnvironmentDescription
from townlet.store.files import read_stream

__all__ = [
    "Replacements",
    "ScheduleError",
    "load",
    "load_text",
    "read_schedule",
    "require_torch",
    "stored_plan",
    "torch_needs",
]

MAX_SHOWN = 50
MAX_WIDTH = 110


@frozen(kw_only=True)
class Replacements:
    """What a call says in place of a schedule."""

    teacher: str | None = None
    """The teacher; None: the schedule's own."""
    metrics: Mapping[str, InfoMetricSpec] = MappingProxyType({})
    """KPIs from infos, by name; the schedule's others stay."""


class ScheduleError(BadInputError):
    """A schedule that is refused; `mistakes` holds everything that is wrong with it, in the order of the text.

    The message shows each as ``file:line:column: message``, then the line and a caret. Mistakes in what was `given` in
    place of the text's own values come first, in the words of who gave them.
    """

    def __init__(
        self, name: str, mistakes: tuple[SourceError, ...], lines: tuple[str, ...], given: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.mistakes = tuple(sorted(set(mistakes)))
        shown = [_printable(sentence) for sentence in dict.fromkeys(given)]
        shown += [_rendered(name, mistake, lines) for mistake in self.mistakes[:MAX_SHOWN]]
        if len(self.mistakes) > MAX_SHOWN:
            shown.append(f"{name}: and {len(self.mistakes) - MAX_SHOWN} more")
        super().__init__("\n".join(shown))


def load(
    path: Path,
    catalogue: StrategyCatalogue,
    describe: Describe,
    *,
    seed: int | None = None,
    scenario: str | None = None,
    worlds: int | None = None,
) -> Plan:
    """Return the plan of the schedule at `path`; `seed`, `scenario` and `worlds` take the place of what it says.

    Raises ScheduleError with every mistake, BadInputError where there is no such file. Nothing is written, no world is
    made: `describe` is asked what the environment would be (BadInputError for an unknown one).
    """
    text, folder = read_schedule(path), path.parent
    return load_text(text, str(path), catalogue, describe, folder=folder, seed=seed, scenario=scenario, worlds=worlds)


def read_schedule(path: Path) -> bytes:
    """Return the text of a schedule's file, or what comes through a pipe; BadInputError where it cannot be read.

    A pipe can be read once: whoever needs the text again keeps it.
    """
    try:
        return read_stream(path, MAX_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"cannot read schedule {str(path)!r}: {error.strerror}") from error


def load_text(
    text: bytes,
    name: str,
    catalogue: StrategyCatalogue,
    describe: Describe,
    *,
    folder: Path = Path(),
    seed: int | None = None,
    scenario: str | None = None,
    worlds: int | None = None,
    replaced: Replacements | None = None,
    overrides: Sequence[Override] = (),
    stored: bool = False,
) -> Plan:
    """Return the plan of a schedule's `text`, called `name` in messages; its files are looked for in `folder`.

    `overrides`, then `seed`, `scenario`, `worlds` and what is `replaced`, take the place of what the text says.

    Raises ScheduleError with every mistake; what only a sound machine can tell (strategies' own problems, a budget
    that does not last) comes once there is no other. `stored` is true for the schedule of a run that exists: it is
    read as it was begun, whether or not it could achieve anything.
    """
    try:
        document = read(text)
    except SourceSyntaxError as error:
        raise ScheduleError(name, (error.error,), error.lines) from error
    replaced = replaced or Replacements()
    arguments: dict[tuple[str, ...], Any] = {
        ("seed",): seed,
        ("environment", "scenario"): scenario,
        ("environment", "worlds"): worlds,
        ("teacher",): replaced.teacher,
        **{("environment", "metrics", metric): spec.model_dump() for metric, spec in replaced.metrics.items()},
    }
    arguments = {path: value for path, value in arguments.items() if value is not None}
    given = overridden(document.data, overrides)
    if given.refusals:  # the rest would be checked without what it was to have
        raise ScheduleError(name, document.errors, document.lines, given.refusals)
    data = _with_arguments(given.data, arguments)
    partial, problems = parse_sections(data, catalogue, describe)
    problems += [*check(partial), *check_policies(partial, folder), *check_edges(partial)]
    if not stored:  # the keys of a run that exists stand in its journal
        problems += check_signers(partial, folder)
    reachability, graph_problems = check_graph(partial)
    problems += graph_problems
    if not stored:
        problems += [*check_ranges(partial), *check_ignored_options(partial)]
    _raise_problems(name, document, problems, given, arguments)
    plan = _plan(data, partial, reachability)
    if not stored and partial.environment is not None:
        suites = {scenario: suite for scenario, suite in partial.suites.items() if suite is not None}
        found = [*check_plan(plan, catalogue, partial.environment, suites)]
        _raise_problems(name, document, found, given, arguments)
    return plan


def stored_plan(text: bytes, catalogue: StrategyCatalogue, seed: int) -> Plan:
    """Return the plan of the schedule of a run that exists, without its environment.

    It was found sound before the run began, and is not checked again. CodecError where this version cannot read it.
    """

    def no_environment(_: EnvironmentSpec) -> EnvironmentDescription:
        raise BadInputError("the environment is not asked")

    data = _with_arguments(read(text).data, {("seed",): seed})
    partial, _ = parse_sections(data, catalogue, no_environment)
    reachability, _ = check_graph(partial)
    return _plan(data, partial, reachability)


def _with_arguments(data: Any, arguments: Mapping[tuple[str, ...], Any]) -> Any:
    for path, value in arguments.items():
        if not isinstance(data, dict):
            return data
        inner = value if len(path) == 1 else _with_arguments(data.get(path[0], {}), {path[1:]: value})
        data = data | {path[0]: inner}
    return data


def _raise_problems(
    name: str,
    document: Document,
    problems: list[Problem],
    given: Overridden,
    arguments: Mapping[tuple[str, ...], Any],
) -> None:
    mistakes, sentences = list(document.errors), list[str]()
    for problem in problems:
        sentence = None if problem.path in arguments else given.sentence(problem, document)
        located = document.locate(problem)
        if sentence is not None:
            sentences.append(sentence)
        elif located is not None:
            instead = " (given in place of what stands here)" if problem.path in arguments else ""
            mistakes.append(SourceError(located.position, f"{located.message}{instead}"))
    if mistakes or sentences:
        if given.places and not sentences:
            names = ", ".join(override.name for override, _ in given.places)
            sentences.append(f"{name}: read with {names}")
        raise ScheduleError(name, tuple(mistakes), document.lines, sentences)


def _plan(data: Any, partial: PartialSchedule, reachability: Reachability) -> Plan:
    options = {name: state.options for name, state in partial.states.items() if state.options is not None}
    gathers = {
        name: state.strategy.evidence(state.options)
        for name, state in partial.states.items()
        if state.strategy and state.strategy.measures and state.options is not None
    }
    return Plan(
        schedule=codec.structure(data, ScheduleSpec),
        options=MappingProxyType(options),
        most_visits=MappingProxyType(dict(reachability.most_visits)),
        gathers=MappingProxyType(gathers),
    )


def _rendered(name: str, mistake: SourceError, lines: tuple[str, ...]) -> str:
    line, column = mistake.position.line, mistake.position.column
    head = f"{name}:{line}:{column}: {_printable(mistake.message)}"
    if line > len(lines):
        return head
    start = max(0, column - MAX_WIDTH * 3 // 4)
    whole = lines[line - 1].replace("\t", " ")
    text = _printable(whole[start : start + MAX_WIDTH]) + "…" * (len(whole) > start + MAX_WIDTH)
    return f"{head}\n    {text}\n    {' ' * (column - 1 - start)}^"


def _printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def torch_needs(plan: Plan, catalogue: StrategyCatalogue) -> tuple[str, ...]:
    """Return the states that cannot run here because torch is not installed; none where it is."""
    if catalogue.torch_available:
        return ()
    states = plan.schedule.states
    return tuple(
        name for name, options in plan.options.items() if catalogue.entry(states[name].strategy).needs_torch(options)
    )


def require_torch(plan: Plan, catalogue: StrategyCatalogue) -> None:
    """Raise TorchNotAvailableError, which names the extra to install, where a state needs torch and there is none."""
    missing = torch_needs(plan, catalogue)
    if missing:
        what = f"state {missing[0]}" if len(missing) == 1 else f"each of the states {', '.join(missing)}"
        raise TorchNotAvailableError(f"{plan.schedule.name}: {what}")
