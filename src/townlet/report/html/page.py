"""Render a template to one HTML file that needs nothing else: no request, no folder beside it, no server.

Every page extends ``page.html.j2`` and fills its blocks. Styles and scripts are inlined, and a Content Security Policy
names their digests: the browser runs these and nothing else, and asks for nothing. Values are escaped as HTML, and
`townlet.escapes.printable` shows characters that hide or reverse text as escapes, so names from outside are only text.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from townlet.escapes import printable
from townlet.numerals import number
from townlet.report.following import Following

__all__ = ["Values", "data_block", "render_page"]

Values = Sequence[float | int | str | bool | None] | NDArray[Any]
"""The values of one column: text or numbers as a list, None for what is missing; or an array of any shape."""
_IN_SCRIPT = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})
"""What could end a script element, or begin a comment in it, as escapes of JSON."""


def render_page(
    template: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    following: Following | None = None,
    **values: object,
) -> str:
    """Return a template of this package as one self-contained HTML text; equal values give equal bytes.

    `styles` and `scripts` name files beside the template that are inlined, in this order, after those that every page
    has. A browser reads the page again from where it is while it is `following` a run. `values` are
    what the template names; one that is missing raises `jinja2.UndefinedError`.
    """
    css = [_asset(name) for name in ("page.css", *styles)]
    code = [_asset(name) for name in ("page.js", *scripts, *(["follow.js"] if following else []))]
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(css, code),
            following=following,
            styles=[Markup(text) for text in css],  # noqa: S704  (files of this package)
            scripts=[Markup(text) for text in code],  # noqa: S704
            **values,
        )
    )


def data_block(name: str, columns: Mapping[str, Values]) -> Markup:
    """Return columns as a data element that a page's script reads with ``townletColumns(name)``.

    A list becomes JSON, with null for what is missing or not finite. An array becomes its bytes, little-endian and in
    base64, with its dtype and shape; the script gets a typed array and no number is parsed.
    """
    content = {key: _column(values) for key, values in columns.items()}
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).translate(_IN_SCRIPT)
    return Markup('<script type="application/json" id="{}">{}</script>').format(name, Markup(text))  # noqa: S704


def _column(values: Values) -> dict[str, object]:
    if isinstance(values, np.ndarray):
        array = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        return {
            "dtype": values.dtype.name,
            "shape": list(values.shape),
            "base64": base64.b64encode(array.tobytes()).decode("ascii"),
        }
    return {"values": [None if isinstance(each, float) and not math.isfinite(each) else each for each in values]}


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Return the page's Content Security Policy: its own styles and scripts, pictures inside the file, nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {' '.join(map(_digest, styles))}",
            f"script-src {' '.join(map(_digest, scripts))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode('ascii')}'"


def _asset(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment


def _shown(value: object) -> object:
    """Return text with its unsafe characters as escapes; what is markup already stays."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
