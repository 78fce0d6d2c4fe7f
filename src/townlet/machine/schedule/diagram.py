"""Mermaid state diagram of a schedule."""

import re

from townlet.dto.conditions import AllOf, NotOf, When
from townlet.dto.schedule import BUILT_IN_STATES, EdgeSpec, ScheduleSpec

__all__ = ["condition", "mermaid"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = (
    *("accdescr", "acctitle", "class", "click", "constructor", "default", "direction", "end", "hide", "href", "note"),
    *("prototype", "root", "scale", "state", "style", "title", "tostring", "valueof"),
)
"""Words of Mermaid's own, in any case. Its lexer takes some of them for a word where a longer name begins with them."""
_RESERVED_EXACTLY = frozenset({"as", "bt", "lr", "of", "rl", "tb"})
_ESCAPES = str.maketrans(
    {
        "#": "#35;",
        ";": "#59;",
        ":": "#58;",
        "%": "#37;",
        "<": "#60;",
        ">": "#62;",
        '"': "#34;",
        "&": "#38;",
        "`": "#96;",
    }
    | dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " ")
)


def mermaid(schedule: ScheduleSpec) -> str:
    """Return a ``stateDiagram-v2`` with one arrow per edge, labelled with its order, guards and reason."""
    ends = [end for end in BUILT_IN_STATES if any(e.to == end for s in schedule.states.values() for e in s.next)]
    names = [*schedule.states, *ends]
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{name}" as {_id(name)}' for name in names if _id(name) != name]
    lines.append(f"    [*] --> {_id(schedule.initial)}")
    for name, state in schedule.states.items():
        several = len(state.next) > 1
        lines += [
            f"    {_id(name)} --> {_id(edge.to)}{_label(edge, index if several else 0)}"
            for index, edge in enumerate(state.next, 1)
        ]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(lines) + "\n"


def condition(when: When) -> str:
    """Return a condition in words: ``a and (b or not c)``."""
    if isinstance(when, str):
        return when
    if isinstance(when, NotOf):
        return f"not {condition(when.not_)}"
    word, parts = (" and ", when.all) if isinstance(when, AllOf) else (" or ", when.any)
    text = word.join(condition(part) for part in parts)
    return f"({text})" if len(parts) > 1 else text


def _label(edge: EdgeSpec, order: int) -> str:
    guards = " and ".join(condition(when) for when in edge.when) or ("otherwise" if order else "")
    parts = [f"{order}. {guards}" if order else guards, edge.why]
    text = " — ".join(part for part in parts if part)
    return f": {text.translate(_ESCAPES)}" if text else ""


def _id(name: str) -> str:
    """Return a name that Mermaid takes as an identifier; hyphens and its own words it does not."""
    word = name.lower()
    if _PLAIN.fullmatch(name) and not word.startswith(_RESERVED) and word not in _RESERVED_EXACTLY:
        return name
    return "state_" + name.replace("_", "__").replace("-", "_h")
