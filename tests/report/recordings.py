"""Recordings of a tiny town that no simulator made, with names from outside."""

import numpy as np
from attrs import evolve

from townlet.dto.recording import (
    CurveRecording,
    EpisodeRecording,
    PackedColumn,
    RecordedAgent,
    RecordedJob,
    RecordedKpi,
    RecordedObject,
    RecordedPair,
    TownRecording,
)

__all__ = ["HOSTILE", "pair", "without_town"]

HOSTILE = "</script><script>document.title='owned'</script>\x1b[31m\u202egnp.exe & <b>"
"""A name that would end an element, colour a terminal, or turn the text around."""
_TICKS = 60


def _town(names: tuple[str, str]) -> TownRecording:
    """Return a town of two agents that walk to one fridge, queue and quarrel there."""
    ticks = np.arange(_TICKS + 1)
    shape = (_TICKS + 1, 2)
    walk = np.minimum(ticks, 8)
    still = {name: np.zeros(shape, np.int64) for name in ("generation", "called", "ended", "duty")}
    at_fridge = (ticks >= 9)[:, None] & np.ones(shape, np.bool_)
    agents = still | {
        "x": np.stack([walk, 12 - np.minimum(ticks, 3)], axis=1),
        "y": np.full(shape, 4),
        "intent": np.full(shape, 6),
        "queue": np.where(at_fridge, 0, -1),
        "place": np.where(at_fridge, np.array([0, 1]), -1),
        "activity": np.where(at_fridge, np.array([3, 2]), 1),
    }
    levels = {name: np.linspace(0.9, 0.3, _TICKS + 1)[:, None] * np.ones(2) for name in ("hunger", "hygiene", "energy")}
    columns = [PackedColumn.of(f"agent.{name}", values) for name, values in agents.items()]
    columns += [PackedColumn.of(f"agent.{name}", values, 200) for name, values in levels.items()]
    columns += [PackedColumn.of(f"agent.{name}", np.full(shape, 2.5), 100) for name in ("wallet", "episode_return")]
    columns += [
        PackedColumn.of("object.holder", np.where(ticks >= 9, 0, -1)),
        PackedColumn.of("object.running", (ticks >= 9).astype(int)),
        PackedColumn.of("object.stock", np.full(_TICKS + 1, 5)),
        PackedColumn.of("town.price", np.ones(_TICKS + 1), 100),
        PackedColumn.of("town.power", np.ones(_TICKS + 1, np.int64)),
        PackedColumn.of("town.water", np.where((ticks > 30) & (ticks < 40), 0, 1)),
    ]
    return TownRecording(
        width=16,
        height=10,
        day=1440,
        start=480,
        ticks_per_decision=6,
        avoid=0.5,
        agents=tuple(RecordedAgent(name=name, home_x=2 + n, home_y=8, job=0) for n, name in enumerate(names)),
        objects=(RecordedObject(name=names[0], kind="fridge", letter="F", x=8, y=3, duration=20),),
        jobs=(RecordedJob(start=420, end=660, x=13, y=8),),
        activities=("waits", "walks", "queues", "uses", "works", "chats", "is away"),
        duties=("no shift", "shift begins", "at work", "late", "absent"),
        ends=("", "fainted", "was evicted"),
        intents=("waits", "goes to work", "goes home", "leaves the queue", "chats", "steps away"),
        columns=tuple(columns),
        pairs=((0, 1),),
        rivalry=PackedColumn.of("rivalry", np.where(ticks >= 20, 0.3, 0.0), 50),
        conflicts=PackedColumn.of("conflicts", np.array([[20, 0, 1, 0, 8], [50, 0, 1, 0, 13]])).rescaled(20),
    )


def _kpi(name: str, direction: str, last: float | None) -> RecordedKpi:
    decisions = _TICKS // 6
    running = np.linspace(0, last or 0.0, decisions + 1)
    return RecordedKpi(
        name=name,
        unit="1/agent-day",
        direction=direction,
        value=last,
        running=PackedColumn.of(name, running, 100),
        known=PackedColumn.of(name, np.full(decisions + 1, int(last is not None))),
    )


def _episode(policy: str, names: tuple[str, str], kpis: tuple[float | None, ...]) -> EpisodeRecording:
    columns = (PackedColumn.of("reward", np.linspace(0, 1, _TICKS // 6 + 1), 100),)
    rows = zip((("return", "higher"), ("conflicts", "lower"), ("chats", "none")), kpis, strict=True)
    return EpisodeRecording(
        policy=policy,
        source=policy,
        decisions=_TICKS // 6,
        kpis=tuple(_kpi(name, direction, value) for (name, direction), value in rows),
        curves=CurveRecording(columns=columns),
        town=_town(names),
    )


def pair(names: tuple[str, str] = ("Ada", "Ben"), *, policies: int = 2) -> RecordedPair:
    """Return an episode that a learned policy and a script played."""
    episodes = (
        _episode("c0ffee" * 10 + "c0ff", names, (21.5, 3.0, None)),
        _episode("teacher:scripted", names, (6.25, 8.0, 2.0)),
    )
    return RecordedPair(
        environment="town",
        scenario="hamlet",
        objective="return",
        seed=7,
        episode=3,
        actions="greedy",
        origin="This is episode 3 of seed 7.",
        episodes=episodes[:policies],
    )


def without_town(recorded: RecordedPair) -> RecordedPair:
    """Return the same of an environment that draws nothing."""
    return evolve(recorded, episodes=tuple(evolve(each, town=None) for each in recorded.episodes))
