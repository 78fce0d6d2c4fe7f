"""Files stay small, and no file is a place for everything."""

from pathlib import Path

from places import ROOT, SOURCES, code_lines

FILES = {str(path.relative_to(ROOT)): path for room in (SOURCES, ROOT / "tests") for path in sorted(room.rglob("*.py"))}
FORBIDDEN = {"utils", "util", "common", "helpers", "helper", "manager", "core"}


def _allowed(path: Path) -> int:
    if path.name == "orchestrator.py":
        return 150
    return 200 if path.parent.name == "strategies" else 250


def test_files_stay_small() -> None:
    """At most 250 lines of code, 200 for a strategy, 150 for the orchestrator."""
    assert {} == {name: found for name, path in FILES.items() if (found := code_lines(path)) > _allowed(path)}


def test_files_are_named_for_what_they_hold() -> None:
    """No part of a file's name is a word that fits anything."""
    assert [] == [
        name
        for name in FILES
        if FORBIDDEN & {word for part in Path(name).with_suffix("").parts for word in part.split("_")}
    ]


def test_docstrings_blank_lines_and_comments_are_free(tmp_path: Path) -> None:
    """Every line of an expression counts; the text under a module, a class or a field does not."""
    file = tmp_path / "sample.py"
    file.write_text(
        '"""Module.\n\nMore.\n"""\n\n# why\nx = [\n    1,\n\n    2,\n]\ny: int  # what\n"""Of y."""\nz = """a\nb"""\n'
    )

    assert 7 == code_lines(file)
