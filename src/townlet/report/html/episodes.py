"""The section of a report that plays episodes: the one with the largest gain, and the one with the largest loss."""

import shlex
from collections.abc import Iterator, Sequence

from attrs import frozen
from markupsafe import Markup

from townlet.dto.policy_ref import short_ref
from townlet.dto.recording import RecordedPair
from townlet.escapes import one_line
from townlet.numerals import number
from townlet.report.html.viewer import (
    LEGEND,
    KpiRow,
    ShownPolicy,
    alike_sentence,
    drawn,
    episode_data,
    kpi_rows,
    part_sentence,
)

__all__ = ["EpisodesSection", "episodes_section"]

_EXTREMES = {
    ("gain", True): "The largest gain",
    ("gain", False): "The smallest loss",
    ("loss", True): "The smallest gain",
    ("loss", False): "The largest loss",
}
"""What an episode is called, by what it was chosen for and whether the candidate was better in it."""


@frozen(kw_only=True)
class EpisodesSection:
    """What the section says and plays."""

    titles: tuple[str, ...]
    """One for each episode."""
    sentences: tuple[tuple[str, ...], ...]
    """How each ended, which it is, what is shown of it; what is doubtful stands last."""
    commands: tuple[str, ...]
    """Show each as a whole."""
    policies: tuple[ShownPolicy, ...]
    """Who plays."""
    rows: tuple[KpiRow, ...]
    """KPIs, for their names and units."""
    is_town: bool
    """Whether a map is shown."""
    legend: tuple[tuple[str, str, str], ...]
    """What the map shows."""
    data: Markup
    """The recordings."""
    problem: str
    """Why nothing can be shown; empty where something is."""


def episodes_section(run: str, pairs: Sequence[RecordedPair], problem: str = "") -> EpisodesSection:
    """Return the section for a run's recorded episodes, or for the reason why there are none.

    Where none is shown there is one command, which plays the episode in which the candidate did worst: nobody knows
    here whether there was a gain. Where some are shown, one is written for each.
    """
    titles = tuple(_title(pair) for pair in pairs)
    words = [_words(pair, title) for pair, title in zip(pairs, titles, strict=True)] or [("loss",)]
    return EpisodesSection(
        titles=titles,
        sentences=tuple(tuple(_sentences(pair)) for pair in pairs),
        commands=tuple(
            shlex.join(["townlet", "play", "--run", run, "--episode", *own, "--out", f"{own[0]}.html"]) for own in words
        ),
        policies=tuple(ShownPolicy(name=name, drawn=f"{drawn(pairs[0])} with the {name}") for name in _names(pairs)),
        rows=tuple(kpi_rows(pairs[0])) if pairs else (),
        is_town=bool(pairs) and pairs[0].episodes[0].town is not None,
        legend=LEGEND,
        data=Markup().join(
            episode_data("episodes" if index == 0 else f"episodes-{index}", pair) for index, pair in enumerate(pairs)
        ),
        problem=problem,
    )


def _names(pairs: Sequence[RecordedPair]) -> Iterator[str]:
    """Yield what each policy is called: its role and who that is."""
    for episode in pairs[0].episodes if pairs else ():
        yield one_line(f"{episode.source} ({short_ref(episode.policy)})")


def _sentences(pair: RecordedPair) -> Iterator[str]:
    """Yield how an episode ended, what is shown of it, what was equal for both, and what is doubtful."""
    kpis = [next(kpi for kpi in episode.kpis if kpi.name == pair.objective) for episode in pair.episodes]
    values = zip((episode.source for episode in pair.episodes), kpis, strict=True)
    text = ", ".join(f"{name} {number(kpi.value) or 'unknown'}" for name, kpi in values)
    known = [kpi.value for kpi in kpis if kpi.value is not None]
    difference = f"; difference {number(known[0] - known[1])}" if len(known) == 2 else ""
    yield one_line(f"{pair.objective}: {text}{difference}.")
    yield part_sentence(pair)
    if len(pair.episodes) == 2:
        yield alike_sentence(pair)
    if pair.doubt:
        yield pair.doubt


def _words(pair: RecordedPair, title: str) -> tuple[str, ...]:
    """Return how a command names an episode: a gain that was none by its number and its scenario."""
    is_none = pair.extreme == "gain" and title.startswith((_EXTREMES["gain", False], "No difference"))
    return (str(pair.episode), "--scenario", pair.scenario) if is_none else (pair.extreme,)


def _title(pair: RecordedPair) -> str:
    """Return what an episode is called: a gain or a loss by the sign that it has, and where it was played."""
    number = one_line(f"episode {pair.episode}{'' if pair.scenario == 'default' else f' of {pair.scenario}'}")
    if len(pair.episodes) < 2:
        return f"{'The best' if pair.extreme == 'gain' else 'The worst'}: {number}"
    kpis = [next(kpi for kpi in episode.kpis if kpi.name == pair.objective) for episode in pair.episodes]
    own, other = (kpi.value or 0.0 for kpi in kpis)
    if own == other:
        return f"No difference: {number}"
    return f"{_EXTREMES[pair.extreme, (own > other) == (kpis[0].direction != 'lower')]}: {number}"
