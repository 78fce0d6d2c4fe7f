"""An episode of an environment that draws pictures of itself as a GIF: each policy's pictures side by side."""

import base64
from bisect import bisect_right
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise

from PIL import Image, ImageDraw

from townlet.dto.policy_ref import short_ref
from townlet.dto.recording import FilmStrip, RecordedPair
from townlet.errors import BadInputError
from townlet.escapes import one_line

__all__ = ["film_gif"]

_TITLE, _GAP = 16, 8
"""Rows above the pictures, and columns between two."""
_DECISION = 100
"""Milliseconds that a decision is shown, as in the viewer at its first speed."""
_LONGEST = 60_000
"""Milliseconds of one picture that the format can hold, rounded down."""


def film_gif(pair: RecordedPair) -> bytes:
    """Return the GIF; equal recordings give equal bytes with the same version of Pillow.

    BadInputError for a town, which is drawn by its page, and for an environment that draws nothing.
    """
    films = [episode.film for episode in pair.episodes if episode.film is not None]
    if len(films) != len(pair.episodes):
        why = "a town is drawn by its page" if pair.episodes[0].town else "this environment draws none of itself"
        raise BadInputError(f"a GIF is made of pictures, and {why}; name a file that ends with .html")
    names = [one_line(short_ref(episode.policy)) for episode in pair.episodes]
    moments = sorted({moment for film in films for moment in film.decisions})
    frames = [_frame(films, names, moment) for moment in moments]
    lengths = [min(_DECISION * (after - before), _LONGEST) for before, after in pairwise(moments)]
    buffer = BytesIO()
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=frames[1:], duration=[*lengths, 10 * _DECISION], loop=0
    )
    return buffer.getvalue()


def _frame(films: Sequence[FilmStrip], names: Sequence[str], moment: int) -> Image.Image:
    """Return the last picture of each film up to a decision, under the policy's name."""
    width = sum(film.width for film in films) + _GAP * (len(films) - 1)
    frame = Image.new("RGB", (width, max(film.height for film in films) + _TITLE), "white")
    left = 0
    for film, name in zip(films, names, strict=True):
        picture = base64.b64decode(film.pictures[bisect_right(film.decisions, moment) - 1])
        ImageDraw.Draw(frame).text((left + 2, 2), f"{name}, decision {min(moment, film.decisions[-1])}", fill="black")
        frame.paste(Image.open(BytesIO(picture)), (left, _TITLE))
        left += film.width + _GAP
    return frame
