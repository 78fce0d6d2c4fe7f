"""The viewer: a page that plays a recorded episode, of one policy or of two side by side, and says what came of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from markupsafe import Markup

from townlet.dto.policy_ref import short_ref
from townlet.dto.recording import EpisodeRecording, RecordedPair
from townlet.escapes import one_line
from townlet.numerals import number, unit_label
from townlet.report.html.page import data_block, render_page

__all__ = [
    "LEGEND",
    "SCRIPTS",
    "KpiRow",
    "ShownPolicy",
    "alike_sentence",
    "drawn",
    "episode_data",
    "kpi_rows",
    "part_sentence",
    "policy_names",
    "viewer_page",
    "viewer_sentences",
]

SCRIPTS = ("viewer_columns.js", "viewer_sprites.js", "viewer_town.js", "viewer_film.js", "viewer.js")
"""Scripts of the viewer, in this order."""
_LONGEST = 60
"""Characters of a name on the page."""
LEGEND = (
    ("sky", "square", "F, fridge"),
    ("orange", "square", "C, stove"),
    ("green", "square", "S, shower"),
    ("purple", "square", "B, bed; a ring grows while an object is used"),
    ("blue", "circle", "an agent with its number, all needs met; the bars: fed, clean, rested"),
    ("orange", "circle", "a need below 0.45"),
    ("vermilion", "circle", "a need below 0.2"),
    ("quiet", "dashes", "a queue, in its order"),
    ("vermilion", "dashes", "rivals; solid: they avoid each other's queues; bold, with a ring: a conflict just now"),
)
"""Colour, shape and meaning of what the map of a town shows."""


@frozen(kw_only=True)
class ShownPolicy:
    """A policy on the page."""

    name: str
    """What it is called."""
    drawn: str
    """What is drawn of its episode."""


@frozen(kw_only=True)
class KpiRow:
    """A row of the table of KPIs."""

    name: str
    """Name of the KPI."""
    unit: str
    """Its unit."""
    direction: str
    """The better way; empty without one."""
    values: tuple[str, ...]
    """One for each policy."""
    difference: str
    """The first less the second."""
    mark: str
    """Class of the difference; empty for one that is neither better nor worse."""


def viewer_page(pair: RecordedPair) -> str:
    """Return the page as one HTML text that needs nothing else; equal recordings give equal bytes."""
    names, first = policy_names(pair), pair.episodes[0]
    return render_page(
        "viewer.html.j2",
        styles=["viewer.css"],
        scripts=SCRIPTS,
        heading=f"{_shown(_place(pair))}: {' beside '.join(names)}",
        outcome=_outcome(pair, names),
        sentences=list(_facts(pair, names)),
        doubt=pair.doubt,
        policies=[ShownPolicy(name=name, drawn=f"{drawn(pair)} with {name}") for name in names],
        rows=list(kpi_rows(pair)),
        is_town=first.town is not None,
        legend=LEGEND,
        data=episode_data("episodes", pair),
    )


def episode_data(name: str, pair: RecordedPair) -> Markup:
    """Return the recordings as a data element that the viewer's script reads."""
    recordings = [_json(episode) for episode in pair.episodes]
    return data_block(name, {"objective": [one_line(pair.objective)], "recording": recordings})


def _place(pair: RecordedPair) -> str:
    """Return the scenario; where an environment has only one, its id."""
    return pair.environment if pair.scenario == "default" else pair.scenario


def policy_names(pair: RecordedPair) -> list[str]:
    """Return what each policy is called on the page: a teacher's name, or the beginning of a digest."""
    names = [_shown(short_ref(episode.policy)) for episode in pair.episodes]
    return names if len(set(names)) == len(names) else [f"{name} ({n + 1})" for n, name in enumerate(names)]


def viewer_sentences(pair: RecordedPair) -> list[str]:
    """Return what the page says before anything moves: how the episode ended, which it is, what is doubtful."""
    names = policy_names(pair)
    return [_outcome(pair, names), *_facts(pair, names), *([pair.doubt] if pair.doubt else [])]


def _facts(pair: RecordedPair, names: Sequence[str]) -> Iterator[str]:
    """Yield sentences on the episode."""
    yield pair.origin
    yield _length(pair)
    if any(not episode.policy.startswith("teacher:") for episode in pair.episodes):
        yield f"Learned policies chose their actions {_ACTIONS[pair.actions]}."
    if len(names) == 2:
        yield alike_sentence(pair)


def alike_sentence(pair: RecordedPair) -> str:
    """Return what was equal for both policies."""
    if pair.unpaired:
        return "This environment ignores its seed: the two did not play the same episode."
    if pair.episodes[0].town is not None:
        return "Both began in the same state, and chance was the same for both."
    return "Both were reset with the same seed and began alike."


_ACTIONS: Mapping[str, str] = {"greedy": "greedily", "stochastic": "by chance, with the probabilities of the network"}


def _length(pair: RecordedPair) -> str:
    lengths = [episode.decisions for episode in pair.episodes]
    town = pair.episodes[0].town
    if town is not None:
        days = lengths[0] * town.ticks_per_decision / town.day
        return f"It lasts {number(days)} {'day' if days == 1 else 'days'}, for {len(town.agents)} agents."
    if len(set(lengths)) == 1:
        return f"It lasts {lengths[0]:,} decisions."
    return f"It lasts {' and '.join(f'{length:,}' for length in lengths)} decisions."


def part_sentence(pair: RecordedPair) -> str:
    """Return which part of an episode is shown, and why this one; what a whole one lasts where nothing is left out."""
    town = pair.episodes[0].town
    if pair.part is None or town is None:
        return _length(pair)
    per_day = town.day / town.ticks_per_decision
    days, every = (pair.part[1] - pair.part[0]) / per_day, pair.episodes[0].decisions / per_day
    if days == every:
        return _length(pair)
    day, minute = divmod(town.start, town.day)
    hour, minute = divmod(minute * 24 * 60 // town.day, 60)
    length = f"{number(days)} {'day' if days == 1 else 'days'}" if days >= 1 else f"{number(days * 24)} hours"
    why = {"gain": "gained most", "loss": "gained least or lost most"}.get(pair.extreme, "differed most")
    return (
        f"Shown of its {number(every)} days: {length}, from day {day + 1}, {hour:02d}:{minute:02d} on, "
        f"where the candidate {why}."
    )


def _outcome(pair: RecordedPair, names: Sequence[str]) -> str:
    """Return how the objective came out."""
    kpis = [kpi for episode in pair.episodes for kpi in episode.kpis if kpi.name == pair.objective]
    values, objective = [kpi.value for kpi in kpis], _shown(pair.objective)
    if not values or None in values:
        return f"{objective} is not known{' of both' if len(kpis) > 1 else ''}: the episode says nothing about it."
    known = [value for value in values if value is not None]
    if len(known) == 1:
        return f"{objective} of {names[0]} is {number(known[0])}."
    a, b = known
    if a == b:
        return f"{objective} of both is {number(a)}."
    better = names[(a < b) == (kpis[0].direction != "lower")]
    return (
        f"{objective} of {names[0]} is {number(a)}, of {names[1]} {number(b)}: "
        f"in this episode {better} is better by {number(abs(a - b))}."
    )


def kpi_rows(pair: RecordedPair) -> Iterator[KpiRow]:
    """Yield the KPIs of the whole episode."""
    for row, kpi in enumerate(pair.episodes[0].kpis):
        values = [episode.kpis[row].value for episode in pair.episodes]
        a, b = (*values, None)[:2]
        difference = None if a is None or b is None else a - b
        mark = ""
        if difference and kpi.direction != "none":
            mark = "better" if (difference > 0) == (kpi.direction == "higher") else "worse"
        yield KpiRow(
            name=_shown(kpi.name),
            unit=_shown(unit_label(kpi.unit)),
            direction="" if kpi.direction == "none" else kpi.direction,
            values=tuple(number(value) or "–" for value in values),
            difference="–"
            if difference is None
            else f"{'+' if difference > 0 else ''}{number(difference)}{f' {mark}' if mark else ''}",
            mark={"better": "is-pass", "worse": "is-fail"}.get(mark, ""),
        )


def drawn(pair: RecordedPair) -> str:
    """Return what a canvas shows."""
    first = pair.episodes[0]
    return "the town's map" if first.town else "the environment's pictures" if first.film else "curves"


def _json(episode: EpisodeRecording) -> str:
    return json.dumps(_printable(episode.model_dump()), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _printable(value: Any) -> Any:
    """Return plain data whose texts hide nothing and reverse nothing: a script shows them as text."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value


def _shown(text: str) -> str:
    """Return a name for the page: on one line, and not too long."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
