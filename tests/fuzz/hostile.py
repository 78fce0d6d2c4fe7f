"""Hostile input: real files with a few bytes changed, words that have broken readers before, and plain noise."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from townlet.errors import TownletError

EXAMPLES = int(os.environ.get("TOWNLET_FUZZ", "40"))
"""Inputs for each reader; continuous integration tries few, `TOWNLET_FUZZ=2000 pytest tests/fuzz` many."""
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

WORDS = (
    b"!!python/object/apply:os.system ['touch owned']",
    b"!!python/name:os.system",
    b"!!binary x",
    b"!!timestamp 2",
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"? [",
    b"- " * 200,
    b"[" * 2000,
    b"{" * 2000,
    b"]" * 50,
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b".nan",
    b".inf",
    b"1e400",
    b"-1e400",
    b"9" * 5000,
    b"-" + b"9" * 400,
    b"0x" + b"f" * 400,
    b"1_000",
    b"012",
    b"0o17",
    b"true",
    b"null",
    b"~",
    b'""',
    b"''",
    b"../" * 20 + b"etc/passwd",
    b"/etc/passwd",
    b"/dev/zero",
    b"C:\\x",
    b"\\",
    b'"\\ud800"',
    b'"\\UFFFFFFFF"',
    b'"\\x00"',
    b"%YAML 1.1\n---\n",
    b"---\n",
    b"...\n",
    b"# ",
    b"\t",
    b"\r",
    b"\x85",
    b"\xe2\x80\xa8",
    b": ",
    b", ",
    b"\xff" * 8,
    b"\0" * 8,
    (2**30).to_bytes(8, "little"),
    (2**63).to_bytes(8, "little"),
    b"a" * 70000,
)
"""Inserted whole; each has broken some reader of some project."""

plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400) | st.just("\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
"""What JSON and YAML can say, and what they cannot: NaN, infinities, huge integers."""


@st.composite
def edited(draw: st.DrawFn, original: bytes, words: Sequence[bytes] = WORDS) -> bytes:
    """Return a real file with a few places changed: bytes cut out, words, noise or another part of it put in."""
    data = original
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.sampled_from((0, 0, 1, 2, 8, 40, 400)))
        start = draw(st.integers(0, max(len(original) - 1, 0)))
        put = draw(
            st.one_of(
                st.sampled_from(tuple(words)),
                st.binary(max_size=12),
                st.just(original[start : start + draw(st.sampled_from((1, 10, 100)))]),
            )
        )
        data = data[:at] + put + data[at + gone :]
    return data


@st.composite
def grafted(draw: st.DrawFn, original: Any) -> Any:
    """Return plain data with one value somewhere replaced, removed or renamed."""
    value = original
    steps: list[tuple[Any, Any]] = []
    while isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        step = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        steps.append((value, step))
        value = value[step]
    grown = draw(plain | st.just([value] * 3) | st.just({"x": value}) | st.sampled_from((-1, 0, 2**63, 1e308)))
    for container, step in reversed(steps):
        if isinstance(container, dict):
            rest = {name: item for name, item in container.items() if name != step}
            kind = draw(st.integers(0, 9)) if grown is not None else 9
            grown = rest if kind == 0 else {**rest, f"{step}x" if kind == 1 else step: grown}
        else:
            grown = [*container[:step], grown, *container[step + 1 :]]
    return grown


def answer(read: Callable[[], object]) -> object:
    """Return what a reader says: its answer, or the refusal; anything else it raises is what the test is for."""
    try:
        return read()
    except TownletError as refusal:
        return refusal
