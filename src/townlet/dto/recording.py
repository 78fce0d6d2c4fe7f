"""A recorded episode: what can be drawn of it tick by tick, as whole numbers that are packed into text."""

import base64

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record

__all__ = [
    "CurveRecording",
    "EpisodeRecording",
    "FilmStrip",
    "PackedColumn",
    "RecordedAgent",
    "RecordedJob",
    "RecordedKpi",
    "RecordedObject",
    "RecordedPair",
    "TownRecording",
]

_MOST_BYTES = 10
"""Bytes of the longest varint: 64 bits, 7 in each."""


@frozen(kw_only=True)
class PackedColumn(Record):
    """Several series of whole numbers over time, packed: differences, zigzag, runs of zeros, varints, base64.

    A series begins at 0; its differences d follow each other as zigzag(d) = 2d or −2d − 1, in bytes of 7 bits with the
    low ones first. A zero is followed by the number of further zeros. One series follows the
    other, and a run of zeros may go on from one to the next.
    """

    name: str
    """What is measured."""
    length: int
    """T, the moments."""
    series: int
    """K, the series: agents, objects, pairs, or one."""
    scale: float = 1.0
    """A value is its whole number ÷ scale."""
    data: str
    """Base64 of the bytes."""

    @classmethod
    def of(cls, name: str, values: NDArray[np.generic], scale: float = 1.0) -> "PackedColumn":
        """Return values [T, K], or [T], rounded to multiples of 1 ÷ scale."""
        table = np.asarray(values, np.float64 if scale != 1 else None)
        table = table if table.ndim == 2 else table[:, None]
        whole = np.rint(table * scale).astype(np.int64) if scale != 1 else table.astype(np.int64)
        differences = np.diff(whole, axis=0, prepend=0).T.reshape(-1)
        return cls(
            name=name,
            length=len(table),
            series=table.shape[1],
            scale=scale,
            data=base64.b64encode(_varints(_tokens(differences))).decode("ascii"),
        )

    def rescaled(self, scale: float) -> "PackedColumn":
        """Return the column with another scale: its whole numbers were already multiplied."""
        return evolve(self, scale=scale)

    def values(self) -> NDArray[np.float64]:
        """Return the values [T, K]."""
        tokens, differences = iter(_numbers(base64.b64decode(self.data))), []
        for token in tokens:
            if token == 0:
                differences += [0] * (1 + next(tokens))
            else:
                differences.append((token >> 1) ^ -(token & 1))
        table = np.array(differences, np.int64).reshape(self.series, self.length)
        return np.asarray(table.cumsum(axis=1).T / self.scale)


def _tokens(differences: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return zigzag codes, each run of zeros as a zero and the number of further zeros."""
    zigzag = ((differences << 1) ^ (differences >> 63)).astype(np.uint64)
    zero = zigzag == 0
    starts = zero & ~np.concatenate(([False], zero[:-1]))
    ends = zero & ~np.concatenate((zero[1:], [False]))
    further = np.flatnonzero(ends) - np.flatnonzero(starts)
    places = np.flatnonzero(~zero | starts)
    is_run = starts[places]
    tokens = np.zeros(len(places) + len(further), np.uint64)
    at = np.arange(len(places)) + np.concatenate(([0], np.cumsum(is_run)[:-1])) if len(places) else places
    tokens[at] = zigzag[places]
    tokens[at[is_run] + 1] = further
    return tokens


def _varints(tokens: NDArray[np.uint64]) -> bytes:
    """Return numbers as bytes of 7 bits, low ones first; the highest bit says that more follow."""
    sizes = np.ones(len(tokens), np.int64)
    for size in range(1, _MOST_BYTES):
        sizes += tokens >= np.uint64(1 << (7 * size))
    offset = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    parts = (np.repeat(tokens, sizes) >> (7 * offset).astype(np.uint64)) & np.uint64(0x7F)
    more = offset + 1 < np.repeat(sizes, sizes)
    return bytes((parts | np.where(more, np.uint64(0x80), np.uint64(0))).astype(np.uint8).tobytes())


def _numbers(data: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    return numbers


@frozen(kw_only=True)
class RecordedAgent(Record):
    """One agent slot of a town."""

    name: str
    """What it is called."""
    home_x: int
    """Column of its home."""
    home_y: int
    """Row of its home."""
    job: int | None = None
    """Index of its job."""


@frozen(kw_only=True)
class RecordedObject(Record):
    """One object of a town."""

    name: str
    """What it is called."""
    kind: str
    """Its kind."""
    letter: str
    """One letter for the kind."""
    x: int
    """Column."""
    y: int
    """Row."""
    duration: int
    """Ticks of one use."""


@frozen(kw_only=True)
class RecordedJob(Record):
    """One job of a town."""

    start: int
    """First tick of its shift, counted from midnight."""
    end: int
    """First tick after it."""
    x: int
    """Column of its site."""
    y: int
    """Row of its site."""


@frozen(kw_only=True)
class TownRecording(Record):
    """An episode of one town: T moments, the first before the first tick."""

    width: int
    """Columns of the map."""
    height: int
    """Rows of the map."""
    day: int
    """Ticks of a day."""
    start: int
    """Tick of the day at which the episode begins."""
    ticks_per_decision: int
    """Ticks of one decision."""
    avoid: float
    """Rivalry from which two avoid each other's queues."""
    agents: tuple[RecordedAgent, ...]
    """The agent slots."""
    objects: tuple[RecordedObject, ...]
    """The objects."""
    jobs: tuple[RecordedJob, ...]
    """The jobs."""
    activities: tuple[str, ...]
    """Words for the numbers of the column ``activity``."""
    duties: tuple[str, ...]
    """Words for the numbers of the column ``duty``."""
    ends: tuple[str, ...]
    """Words for the numbers of the column ``ended``."""
    intents: tuple[str, ...]
    """Words for the numbers of the column ``intent``; those of objects follow."""
    columns: tuple[PackedColumn, ...]
    """By agent, by object, or of the town, at every moment."""
    pairs: tuple[tuple[int, int], ...]
    """Pairs of agents that were rivals at some moment: the series of `rivalry`."""
    rivalry: PackedColumn
    """Rivalry of each pair at every moment."""
    conflicts: PackedColumn
    """One row per queue conflict: moment, the two agents, object (−1 for none), intensity."""


@frozen(kw_only=True)
class FilmStrip(Record):
    """Pictures that an environment drew of its episode."""

    media_type: str
    """Format of the pictures, such as ``image/webp``."""
    width: int
    """Columns of a picture."""
    height: int
    """Rows of a picture."""
    decisions: tuple[int, ...]
    """Decisions after which the pictures were drawn, rising; 0 is the beginning."""
    pictures: tuple[str, ...]
    """The pictures, in base64."""

    @property
    def size(self) -> int:
        """Characters of all pictures."""
        return sum(map(len, self.pictures))

    def within(self, characters: int) -> "FilmStrip":
        """Return the strip with every second, fourth, … picture and the last, such that it is not longer than this."""
        step, count = 1, len(self.pictures)
        shown = list(range(count))
        while len(shown) > 1 and sum(len(self.pictures[at]) for at in shown) > characters:
            step *= 2
            shown = sorted({*range(0, count, step), count - 1}) if step < count else [count - 1]
        return evolve(
            self,
            decisions=tuple(self.decisions[at] for at in shown),
            pictures=tuple(self.pictures[at] for at in shown),
        )


@frozen(kw_only=True)
class CurveRecording(Record):
    """What is shown of an environment that draws nothing: some of its first agent's observations, and the reward."""

    columns: tuple[PackedColumn, ...]
    """One series each."""


@frozen(kw_only=True)
class RecordedKpi(Record):
    """One KPI of an episode, and what it was after each decision."""

    name: str
    """Name of the metric."""
    unit: str
    """Its unit."""
    direction: str
    """``higher`` or ``lower``, the better way; ``none`` without one."""
    value: float | None
    """Its value over the whole episode, exactly as evidence counts it; None without exposure."""
    running: PackedColumn
    """Its value so far after each decision, rounded."""
    known: PackedColumn
    """1 where there was exposure so far, else 0."""


@frozen(kw_only=True)
class EpisodeRecording(Record):
    """One episode that one policy played."""

    policy: str
    """Weights digest, or ``teacher:NAME``."""
    source: str
    """What a person called it, or where it comes from."""
    decisions: int
    """Length of the episode."""
    kpis: tuple[RecordedKpi, ...]
    """In the order of the environment's description."""
    curves: CurveRecording
    """Reward and observations, which every environment has."""
    town: TownRecording | None = None
    """What can be drawn of a town."""
    film: FilmStrip | None = None
    """What another environment drew of itself."""


@frozen(kw_only=True)
class RecordedPair(Record):
    """One episode as one policy played it, or as each of two did."""

    environment: str
    """Id of the environment."""
    scenario: str
    """Preset within it."""
    objective: str
    """The KPI that says how good an episode was."""
    seed: int
    """Seed that keys the episodes."""
    episode: int
    """Number of the episode among those of the seed, from 0."""
    actions: str
    """How learned policies chose: ``greedy`` or ``stochastic``."""
    origin: str
    """Where this episode comes from, as a sentence."""
    unpaired: bool = False
    """True where the environment does not obey its seed: the two then did not play the same episode."""
    doubt: str = ""
    """Where the episode is not the one that evidence counted, and why, as a sentence; empty where it is."""
    extreme: str = ""
    """``gain`` or ``loss`` where this episode was chosen for the largest one; empty where it was named."""
    part: tuple[int, int] | None = None
    """First decision that is shown and the one after the last, of an episode too long for its place; None for all."""
    episodes: tuple[EpisodeRecording, ...]
    """One for each policy."""
