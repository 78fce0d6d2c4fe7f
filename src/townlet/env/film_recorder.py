"""Record an episode of an environment that draws itself: a strip of pictures, within the size of a page."""

import base64
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.recording import FilmStrip
from townlet.env.foreign_worlds import ForeignWorlds
from townlet.env.libraries import needed
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import Tallies

with needed("PIL", extra="report"):
    from PIL import Image

__all__ = ["MOST_CHARACTERS", "FilmRecorder"]

MOST_CHARACTERS = 700_000
"""Characters of all pictures of one strip, so that a page with two of them stays below 1.5 MB."""
_MOST_PICTURES = 300
_WIDEST, _HIGHEST = 360, 300
"""Pixels of a picture."""
_QUALITY = 70
_METHOD = 4
"""How much libwebp tries: 0 to 6."""


class FilmRecorder:
    """A `townlet.ports.EpisodeRecorder` of one world of a foreign environment."""

    def __init__(self, worlds: ForeignWorlds, every: int | None) -> None:
        """Record one world; `every` is the number of decisions between pictures, None: as many as fit a page."""
        if every is not None and every < 1:
            raise BadInputError(f"every is {every}; expected 1 decision or more between two pictures")
        self.description, self.worlds = worlds.description, 1
        self._inner: Any = worlds
        self._worlds, self._asked = worlds, every
        self._every, self._decision = every or 1, 0
        self._pictures: dict[int, str] = {}
        self._size = (0, 0)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the episode."""
        observations: ObservationBatchDTO = self._inner.reset(worlds)
        self._every, self._decision = self._asked or 1, 0
        self._pictures.clear()
        self._keep()
        return observations

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [1, N, C]."""
        result: StepResult = self._inner.step(actions)
        self._decision += 1
        if self._decision % self._every == 0 or result.over.all():
            self._keep()
        return result

    def tallies(self) -> Tallies:
        """Return the KPI sums of the running or just finished episode."""
        tallies: Tallies = self._inner.tallies()
        return tallies

    def snapshot(self) -> bytes:
        """Return nothing: the state of a foreign environment cannot be stored."""
        return self._worlds.snapshot()

    def restore(self, state: bytes) -> None:
        """Refuse: no snapshot was ever given."""
        self._worlds.restore(state)

    def close(self) -> None:
        """Close the environment."""
        self._worlds.close()

    def recording(self) -> FilmStrip:
        """Return the pictures that were drawn since the last reset."""
        characters = sum(map(len, self._pictures.values()))
        if characters > MOST_CHARACTERS and self._asked is not None:
            raise BadInputError(
                f"environment {self.description.id}: {len(self._pictures)} pictures take {characters:,} characters; "
                f"a page holds {MOST_CHARACTERS:,} for each policy; ask for fewer with --every, or leave it out"
            )
        width, height = self._size
        return FilmStrip(
            media_type="image/webp",
            width=width,
            height=height,
            decisions=tuple(self._pictures),
            pictures=tuple(self._pictures.values()),
        )

    def _keep(self) -> None:
        """Keep a picture of this moment; where there are too many, every second one goes, but not the last."""
        self._pictures[self._decision] = self._encoded(self._worlds.picture(0))
        while self._asked is None and len(self._pictures) > 2 and self._too_much():
            self._every *= 2
            self._pictures = {
                decision: picture
                for decision, picture in self._pictures.items()
                if decision % self._every == 0 or decision == self._decision
            }

    def _too_much(self) -> bool:
        return len(self._pictures) > _MOST_PICTURES or sum(map(len, self._pictures.values())) > MOST_CHARACTERS

    def _encoded(self, picture: Any) -> str:
        """Return a picture as WebP in base64; EnvironmentFaultError for what is no array of colours."""
        if isinstance(picture, list | tuple) and len(picture):
            picture = picture[0]  # of a vector environment: one for each world
        pixels = np.asarray(picture)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise EnvironmentFaultError(
                f"environment {self.description.id}: render returned {type(picture).__name__} of shape "
                f"{list(pixels.shape)} and type {pixels.dtype}; expected a picture [height, width, 3] of uint8"
            )
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image.thumbnail((_WIDEST, _HIGHEST), Image.Resampling.LANCZOS)
        self._size, file = image.size, BytesIO()
        image.save(file, "WEBP", quality=_QUALITY, method=_METHOD)
        return base64.b64encode(file.getvalue()).decode("ascii")
