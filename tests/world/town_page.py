"""The tables of docs/reference/town.md; ``python tests/world/town_page.py`` writes them anew."""

from collections.abc import Iterable
from pathlib import Path

from townlet.dto.scenarios import scenario
from townlet.dto.town_rules import NEED_TABLE, OBJECT_KIND_TABLE
from townlet.world.features import ACTION_TABLE, OBJECT_TABLE, OWN_TABLE, PERSON_TABLE, TERM_TABLE
from townlet.world.kpis import metrics

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "town.md"
START, END = "## Tables\n", "## Scenarios\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) + "\n"


def section() -> str:
    """Return the section as the code's tables have it."""
    three = ("name", "what 1 stands for", "meaning")
    parts = [
        ("Needs", _table(("need", "lost per tick", "weight"), ((n, s.decay, s.weight) for n, s in NEED_TABLE.items()))),
        (
            "Object kinds",
            _table(
                ("kind", "need served", "ticks", "price"),
                (
                    (name, kind.affordance.serves or "–", kind.affordance.duration, kind.affordance.price)
                    for name, kind in OBJECT_KIND_TABLE.items()
                ),
            ),
        ),
        ("Actions without an object", _table(("name", "meaning"), ((row.name, row.source) for row in ACTION_TABLE))),
        ("Features of itself and the town", _table(three, OWN_TABLE)),
        ("Features of each of two friends and two rivals", _table(three, PERSON_TABLE)),
        ("Features of each object slot", _table(three, OBJECT_TABLE)),
        ("Reward terms", _table(("name", "what for"), ((row.name, row.source) for row in TERM_TABLE))),
        (
            "KPIs of `small_town`",
            _table(
                ("name", "unit", "better", "divided by"),
                ((m.name, m.unit, m.direction.value, m.exposure) for m in metrics(scenario("small_town"))),
            ),
        ),
    ]
    text = "\n".join(f"### {title}\n\n{table}" for title, table in parts)
    return f"{START}\nDefault numbers of the code, checked by `tests/world/test_town_page.py`.\n\n{text}\n"


def main() -> None:
    """Write the section into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.partition(START if START in page else END)[0], END + page.partition(END)[2]
    PAGE.write_text(before + section() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
