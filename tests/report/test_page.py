"""A page is one file: escaped, without requests, and the same bytes for the same values."""

import base64
import json
import re
from hashlib import sha256
from importlib.resources import files

import numpy as np
import pytest

jinja2 = pytest.importorskip("jinja2")

from townlet.report.html.page import _environment, data_block, render_page  # noqa: E402

HOSTILE = "</script><script>alert(1)</script>\x1b[31m\u202egnp.exe & <b>"


def test_a_data_block_cannot_be_left_by_what_it_holds() -> None:
    """Text that would end the element, or begin another, stands in it as escapes, and reads back as it was."""
    block = str(data_block("facts", {"name": [HOSTILE, None], "value": [1.5, float("nan")]}))
    inside = re.fullmatch(r'<script type="application/json" id="facts">(.*)</script>', block)

    assert inside is not None
    assert not set("<>&") & set(inside[1])
    assert {"name": {"values": [HOSTILE, None]}, "value": {"values": [1.5, None]}} == json.loads(inside[1])


def test_an_array_travels_as_its_bytes() -> None:
    """The dtype, the shape and the little-endian bytes say what the array was."""
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    column = json.loads(str(data_block("a", {"x": array})).partition(">")[2].rpartition("<")[0])["x"]

    assert ("int16", [2, 3]) == (column["dtype"], column["shape"])
    assert array.astype("<i2").tobytes() == base64.b64decode(column["base64"])


def test_values_are_text_and_never_markup() -> None:
    """Markup is escaped, and characters that move, hide or reverse text are shown as escapes."""
    shown = _environment().from_string("<p>{{ name }}</p>").render(name=HOSTILE)

    assert "<script" not in shown
    assert r"\x1b[31m\u202egnp.exe &amp; &lt;b&gt;" in shown


def test_a_value_that_is_missing_is_an_error() -> None:
    """A template never prints an empty place for a name that nobody gave."""
    with pytest.raises(jinja2.UndefinedError):
        _environment().from_string("{{ nobody }}").render()


def test_the_policy_names_what_is_inlined() -> None:
    """The styles and the script of every page have their digests in the policy, and nothing else is allowed."""
    page = render_page("message.html.j2", heading="Nothing to see", sentences=["a & b"])
    styles = files("townlet.report.html").joinpath("templates", "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(sha256(styles.encode()).digest()).decode()

    assert f"<style>{styles}</style>" in page
    assert digest in page.replace("&#43;", "+").replace("&#x2B;", "+")
    assert "default-src &#39;none&#39;" in page
    assert "unsafe" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page == render_page("message.html.j2", heading="Nothing to see", sentences=["a & b"])
