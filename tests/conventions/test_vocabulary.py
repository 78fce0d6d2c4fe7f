"""The words: old names stay gone, images stay out of the code, and the glossary speaks of what is there."""

import ast
import re
from collections.abc import Iterator

import pytest
from places import ROOT, SOURCES

GLOSSARY = ROOT / "docs" / "reference" / "vocabulary.md"
MODULES = {
    path.relative_to(SOURCES).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in sorted(SOURCES.rglob("*.py"))
}
OLD_MODULES = frozenset(
    [
        "answers",
        "briefing",
        "builder",
        "bylaws",
        "descent",
        "door",
        "draft",
        "effect",
        "epochs",
        "fitting",
        "gather",
        "hearing",
        "judge",
        "kept",
        "keyed",
        "minibatch",
        "moves",
        "notebook",
        "operator",
        "outside",
        "paired",
        "promotions",
        "questions",
        "random",
        "reach",
        "replaying",
        "soundness",
        "standing",
        "statistics",
        "updating",
        "walker",
        "walking",
        "watch",
    ]
)
"""Names of modules that were private words, images, or shadows of the standard library's."""
OLD_CLASSES = frozenset(
    [
        "Autograd",
        "Booking",
        "Bookmark",
        "ByHand",
        "CloneFit",
        "Contest",
        "Court",
        "Differentiator",
        "Draft",
        "EndSignal",
        "Experience",
        "Gathering",
        "Known",
        "Labelled",
        "Launch",
        "Law",
        "Manners",
        "Mistake",
        "Move",
        "Order",
        "Paper",
        "Place",
        "Played",
        "PlayedData",
        "Question",
        "Reading",
        "Resumption",
        "Ruling",
        "RunRecords",
        "Seen",
        "Sighting",
        "Standing",
        "StateDraft",
        "Swept",
        "TaughtBy",
        "Thing",
        "Tie",
        "Trunk",
        "Upset",
        "Walk",
        "Walker",
        "Workbench",
    ]
)
"""Names of classes that the field calls otherwise."""
IMAGES = frozenset(["court", "hearing", "house", "door", "cellar", "gallery", "law", "laws", "manners", "conductor"])
"""Words that stand for something else than they say."""


def definitions() -> Iterator[tuple[str, str]]:
    """Yield module and name of every class and function, and of every name assigned at the top of a module."""
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                yield module, node.name
        for node in tree.body:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            yield from ((module, target.id) for target in targets if isinstance(target, ast.Name))


TEXT = " ".join(path.read_text(encoding="utf-8") for path in MODULES.values()).lower()
DEFINED = frozenset(name for _, name in definitions())


def words(name: str) -> set[str]:
    """Return the words of a name in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def rows() -> list[tuple[str, list[str]]]:
    """Return each word of the glossary with the names in its last column."""
    found = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "word":
            found.append((cells[0], re.findall(r"`([^`]+)`", cells[2])))
    return found


def test_old_names_stay_gone() -> None:
    """No module and no class has a name that the field's word replaced."""
    parts = {part for module in MODULES for part in module.split(".")}

    assert set() == OLD_MODULES & parts
    assert set() == {name for _, name in definitions() if name.strip("_") in OLD_CLASSES and name[:1].isupper()}


def test_no_name_is_an_image() -> None:
    """Modules, classes and functions are named for what they are."""
    modules = {(module, word) for module in MODULES for part in module.split(".") for word in words(part) & IMAGES}
    names = {(module, name) for module, name in definitions() if words(name) & IMAGES}

    assert set() == modules | names


@pytest.mark.parametrize(("word", "names"), rows(), ids=[word for word, _ in rows()])
def test_each_word_of_the_glossary_is_used(word: str, names: list[str]) -> None:
    """The last column names a module, class, function or constant that exists, and the code's texts use the word."""
    assert names
    assert [] == [
        name for name in names if name not in DEFINED and not any(f".{m}".endswith(f".{name}") for m in MODULES)
    ]
    stems = [part.strip().removesuffix("s") for part in word.lower().split(", ")]
    assert [] == [stem for stem in stems if stem not in TEXT and stem.replace(" ", "") not in TEXT]


def test_a_word_stands_in_the_glossary_once() -> None:
    """One word, one meaning."""
    listed = [part.strip() for word, _ in rows() for part in word.split(", ")]

    assert sorted(set(listed)) == sorted(listed)
    assert len(listed) > 50


def test_names_are_split_into_words() -> None:
    """Snake case and camel case, abbreviations included."""
    assert {"ppo", "training", "result"} == words("PPOTrainingResult")
    assert {"move", "champion"} == words("move_champion")
