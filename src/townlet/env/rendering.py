"""Pictures of one world: text and pixels, straight from the state."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town_rules import DAY, OBJECT_KIND_TABLE

if TYPE_CHECKING:
    from townlet.world.batch import TownBatch

__all__ = ["ansi", "render", "rgb_array"]

TILE = 12
"""Pixels along a tile."""
_GROUND, _SITE, _AGENT = (236, 232, 222), (196, 188, 170), (34, 34, 34)
_KINDS = tuple(OBJECT_KIND_TABLE.values())


def render(batch: "TownBatch", mode: str | None, world: int = 0) -> NDArray[np.uint8] | str | None:
    """Return a world in a render mode: pixels for ``rgb_array``, text for ``ansi`` and ``human``, None without one."""
    if mode is None:
        return None
    return rgb_array(batch, world) if mode == "rgb_array" else ansi(batch, world)


def ansi(batch: "TownBatch", world: int = 0) -> str:
    """Return a world as text: a letter for each object (`OBJECT_KIND_TABLE`), a digit for the agents on a tile."""
    clock, agents, objects = batch.world_rows(world)
    rows = [["."] * batch.spec.width for _ in range(batch.spec.height)]
    for job in batch.spec.jobs:
        rows[job.site_y][job.site_x] = "w"
    for item in objects:
        rows[item["y"]][item["x"]] = _KINDS[item["kind"]].letter
    crowd: dict[tuple[int, int], int] = {}
    for agent in agents[agents["respawn"] == 0]:
        crowd[agent["y"], agent["x"]] = crowd.get((agent["y"], agent["x"]), 0) + 1
    for (y, x), count in crowd.items():
        rows[y][x] = str(min(count, 9))
    minute = (clock["start"] + clock["tick"]) % DAY
    title = f"day {(clock['start'] + clock['tick']) // DAY}, {minute // 60:02d}:{minute % 60:02d}"
    return "\n".join([title, *("".join(row) for row in rows)]) + "\n"


def rgb_array(batch: "TownBatch", world: int = 0) -> NDArray[np.uint8]:
    """Return a world as a picture, uint8 (12·height, 12·width, 3): sites, objects by kind, agents as dots."""
    _, agents, objects = batch.world_rows(world)
    picture = np.empty((TILE * batch.spec.height, TILE * batch.spec.width, 3), np.uint8)
    picture[:] = _GROUND
    for job in batch.spec.jobs:
        _square(picture, job.site_x, job.site_y, 0)[:] = _SITE
    for item in objects:
        _square(picture, item["x"], item["y"], 1)[:] = _KINDS[item["kind"]].colour
    for agent in agents[agents["respawn"] == 0]:
        _square(picture, agent["x"], agent["y"], 4)[:] = _AGENT
    return picture


def _square(picture: NDArray[np.uint8], x: int, y: int, margin: int) -> NDArray[np.uint8]:
    (top, bottom), (left, right) = ((TILE * at + margin, TILE * (at + 1) - margin) for at in (y, x))
    return picture[top:bottom, left:right]
