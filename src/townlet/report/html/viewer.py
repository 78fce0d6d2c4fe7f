"""The viewer: a page that plays a recorded episode, of one policy or of two side by side, and says what came of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from townlet.dto.policy_ref import short_ref
from townlet.dto.recording import EpisodeRecording, RecordedPair
from townlet.escapes import one_line
from townlet.numerals import number
from townlet.report.html.page import data_block, render_page

__all__ = ["policy_names", "viewer_page", "viewer_sentences"]

_SCRIPTS = ("viewer_columns.js", "viewer_town.js", "viewer_film.js", "viewer.js")
_LONGEST = 60
"""Characters of a name on the page."""
_LEGEND = (
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


@frozen(kw_only=True)
class _Policy:
    """A policy on the page."""

    name: str
    drawn: str


@frozen(kw_only=True)
class _Row:
    """A row of the table of KPIs."""

    name: str
    unit: str
    direction: str
    values: tuple[str, ...]
    difference: str
    mark: str


def viewer_page(pair: RecordedPair) -> str:
    """Return the page as one HTML text that needs nothing else; equal recordings give equal bytes."""
    names, first = policy_names(pair), pair.episodes[0]
    return render_page(
        "viewer.html.j2",
        styles=["viewer.css"],
        scripts=_SCRIPTS,
        heading=f"{_shown(_place(pair))}: {' beside '.join(names)}",
        outcome=_outcome(pair, names),
        sentences=list(_facts(pair, names)),
        doubt=pair.doubt,
        policies=[_Policy(name=name, drawn=_drawn(pair, name)) for name in names],
        rows=list(_rows(pair)),
        is_town=first.town is not None,
        legend=_LEGEND,
        data=data_block(
            "episodes",
            {"objective": [one_line(pair.objective)], "recording": [_json(episode) for episode in pair.episodes]},
        ),
    )


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
    if len(names) == 2 and pair.unpaired:
        yield "This environment ignores its seed: the two did not play the same episode."
    elif len(names) == 2 and pair.episodes[0].town is not None:
        yield "Both began in the same state, and chance was the same for both."
    elif len(names) == 2:
        yield "Both were reset with the same seed and began alike."


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


def _rows(pair: RecordedPair) -> Iterator[_Row]:
    for row, kpi in enumerate(pair.episodes[0].kpis):
        values = [episode.kpis[row].value for episode in pair.episodes]
        a, b = (*values, None)[:2]
        difference = None if a is None or b is None else a - b
        mark = ""
        if difference and kpi.direction != "none":
            mark = "better" if (difference > 0) == (kpi.direction == "higher") else "worse"
        yield _Row(
            name=_shown(kpi.name),
            unit=_shown(kpi.unit),
            direction="" if kpi.direction == "none" else kpi.direction,
            values=tuple(number(value) or "–" for value in values),
            difference="–"
            if difference is None
            else f"{'+' if difference > 0 else ''}{number(difference)}{f' {mark}' if mark else ''}",
            mark={"better": "is-pass", "worse": "is-fail"}.get(mark, ""),
        )


def _drawn(pair: RecordedPair, name: str) -> str:
    first = pair.episodes[0]
    kind = "the town's map" if first.town else "the environment's pictures" if first.film else "curves"
    return f"{kind} with {name}"


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
