"""Renew the pictures of the documentation: `python tests/browser/docs_pictures.py FOLDER`.

FOLDER holds pages, and what is missing there keeps its picture. `townlet report latest --out PAGE` writes all but two:

- ``promoted.html``: after `townlet run quickstart`.
- ``held.html``: after `townlet run quickstart --set guards.cloned.at_least=0.99`.
- ``rolled-back.html``: after `townlet run impossible`.
- ``cartpole.html``: after `townlet run cartpole`.
- ``crashed.html``: after a run of a copy of quickstart whose promotion has ``approval: {expires: 72h}``: killed with
  SIGKILL while ppo trained, resumed, approved by ``--actor 'Ada <ada@example.org>'``, resumed.
- ``play.html``: `townlet play --policy latest --policy teacher:scripted --days 1 --out play.html`.
- ``compare.html``: `townlet compare shorter quickstart --html --out compare.html`, after `townlet replicate` of both
  with ``--seeds 5``; shorter is a copy of quickstart with 700000 agent-steps of ppo, in its ramps too.

Pictures have a palette, which makes a third of their size. It needs NumPy and Pillow, which matplotlib brings.
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from chromium import find_chromium

DOCS = Path(__file__).parents[2] / "docs"
REPORT = DOCS / "reference" / "report"
# Page, where its picture is stored, width, height, whether it is dark.
PICTURES: tuple[tuple[str, Path, int, int, bool], ...] = (
    ("promoted", REPORT / "promoted.png", 1280, 1400, False),
    ("promoted", REPORT / "promoted-phone.png", 375, 800, False),
    ("promoted", REPORT / "reward.png", 1280, 900, False),
    ("held", REPORT / "held.png", 1280, 760, False),
    ("rolled-back", REPORT / "rolled-back.png", 1280, 760, False),
    ("cartpole", REPORT / "cartpole.png", 1280, 760, False),
    ("crashed", REPORT / "crashed-dark.png", 1280, 700, True),
    ("promoted", REPORT / "episodes.png", 1280, 900, False),
    ("promoted", REPORT / "episodes-phone.png", 375, 800, False),
    ("play", DOCS / "howto" / "watch.png", 1100, 690, False),
    ("play", DOCS / "howto" / "watch_phone.png", 375, 812, True),
    ("compare", DOCS / "howto" / "replicate.png", 1280, 1180, False),
    ("compare", DOCS / "howto" / "replicate_phone.png", 375, 800, False),
)


def _viewer(page: Any) -> bytes:
    """Show the episodes of a report some hours after their beginning."""
    page.locator("#scrub").fill("960")
    page.locator("#scrub").blur()
    page.wait_for_timeout(300)
    return _part(page, "#viewer")


def _maps(page: Any) -> bytes:
    """Show a conflict of a page of `townlet play`, with the maps at the top."""
    page.goto(f"{page.url}#t=470")
    page.locator("#next").click()
    page.evaluate("document.querySelector('.stages').scrollIntoView()")
    page.wait_for_timeout(300)
    return bytes(page.screenshot())


def _terms(page: Any) -> bytes:
    """Show what the reward consists of."""
    return _part(page, "section[aria-labelledby=terms]")


def _part(page: Any, selector: str) -> bytes:
    """Return a part of a page with some of the ground on both sides."""
    part = page.locator(selector)
    part.evaluate("each => Object.assign(each.style, { margin: '0 -12px', padding: '0 12px' })")
    page.wait_for_timeout(300)
    return bytes(part.screenshot())


def _first_screen(page: Any) -> bytes:
    return bytes(page.screenshot())


def _store(picture: bytes, path: Path) -> None:
    """Write a picture with a palette: its 128 most frequent colours as they are, and 128 more for the others."""
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(picture)) as image:
        rgb = image.convert("RGB")
    pixels = np.asarray(rgb).reshape(-1, 3)
    colours, indices, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    others = rgb.quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
    palette = np.vstack([colours[np.argsort(-counts)[:128]], np.reshape(others, (-1, 3))]).astype(int)
    nearest = (np.abs(colours[:, None] - palette).sum(axis=2)).argmin(axis=1).astype(np.uint8)
    flat = Image.fromarray(nearest[indices.reshape(rgb.height, rgb.width)], "P")
    flat.putpalette(palette.astype(np.uint8).tobytes())
    flat.save(path, optimize=True)


_TAKERS = {"episo": _viewer, "watch": _maps, "rewar": _terms}
"""By the first letters of a picture's name."""


def main(folder: Path) -> None:
    """Make every picture whose page is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = find_chromium(driver.chromium.executable_path)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, picture, width, height, dark in PICTURES:
            source = folder / f"{name}.html"
            if not source.is_file():
                continue
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
            page.goto(source.resolve().as_uri())
            _store(_TAKERS.get(picture.stem[:5], _first_screen)(page), picture)
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
