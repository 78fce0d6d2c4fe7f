"""The tables of the five verdicts, whole, and the choice of an edge."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as some

from townlet.dto.conditions import AllOf, AnyOf, NotOf
from townlet.dto.guards import Verdict
from townlet.dto.schedule import EdgeSpec
from townlet.errors import BadInputError
from townlet.machine.guards.verdicts import EdgeChoice, all_of, any_of, choose, evaluate_condition, names, not_of

LETTERS = {
    "P": Verdict.PASS,
    "F": Verdict.FAIL,
    "U": Verdict.UNDECIDED,
    "?": Verdict.UNKNOWN,
    "S": Verdict.SKIPPED,
}
VERDICTS = some.sampled_from(Verdict)

# Row: left verdict, column: right verdict, both in the order P F U ? S.
ALL = """
P F U ? P
F F F ? F
U F U ? U
? ? ? ? ?
P F U ? P
"""
ANY = """
P P P ? P
P F U ? P
P U U ? P
? ? ? ? ?
P P P ? P
"""
NOT = {"P": "F", "F": "P", "U": "U", "?": "?", "S": "?"}


def _cells(table: str) -> list[tuple[str, str, str]]:
    rows = [line.split() for line in table.strip().splitlines()]
    return [(a, b, rows[i][j]) for (i, a), (j, b) in product(enumerate(LETTERS), enumerate(LETTERS))]


@pytest.mark.parametrize(("left", "right", "expected"), _cells(ALL))
def test_the_table_of_all(left: str, right: str, expected: str) -> None:
    """Kleene's minimum, absorbed by UNKNOWN, SKIPPED as a pass."""
    assert LETTERS[expected] is all_of([LETTERS[left], LETTERS[right]])


@pytest.mark.parametrize(("left", "right", "expected"), _cells(ANY))
def test_the_table_of_any(left: str, right: str, expected: str) -> None:
    """Kleene's maximum, absorbed by UNKNOWN, SKIPPED as a pass."""
    assert LETTERS[expected] is any_of([LETTERS[left], LETTERS[right]])


@pytest.mark.parametrize(("given_verdict", "expected"), NOT.items())
def test_the_table_of_not(given_verdict: str, expected: str) -> None:
    """UNDECIDED and UNKNOWN have no opposite; of SKIPPED nobody knows one."""
    assert LETTERS[expected] is not_of(LETTERS[given_verdict])


def test_of_nothing_all_passes_and_any_fails() -> None:
    """As in logic."""
    assert (Verdict.PASS, Verdict.FAIL) == (all_of([]), any_of([]))


@given(some.lists(VERDICTS, min_size=1))
def test_unknown_absorbs_and_order_never_matters(verdicts: list[Verdict]) -> None:
    """Whatever stands beside it, wherever it stands."""
    for combine in (all_of, any_of):
        assert combine(verdicts) is combine(verdicts[::-1])
        assert (Verdict.UNKNOWN is combine(verdicts)) == (Verdict.UNKNOWN in verdicts)


@given(VERDICTS.filter(lambda v: v is not Verdict.SKIPPED), VERDICTS.filter(lambda v: v is not Verdict.SKIPPED))
def test_not_turns_all_into_any(left: Verdict, right: Verdict) -> None:
    """De Morgan holds over everything `not` is allowed on."""
    assert not_of(all_of([left, right])) is any_of([not_of(left), not_of(right)])


def test_conditions_nest() -> None:
    """`any` of a guard and a negated `all`; the guards it names come in order."""
    condition = AnyOf(any=("a", NotOf(not_=AllOf(all=("b", "c")))))
    verdicts = {"a": Verdict.FAIL, "b": Verdict.PASS, "c": Verdict.FAIL}
    assert Verdict.PASS is evaluate_condition(condition, verdicts)
    assert ["a", "b", "c"] == list(names(condition))


EDGES = (EdgeSpec(to="x", when=("a",)), EdgeSpec(to="y", when=("b", "c")), EdgeSpec(to="z"))


def _choice(a: str, b: str, c: str) -> EdgeChoice:
    return choose(EDGES, {"a": LETTERS[a], "b": LETTERS[b], "c": LETTERS[c]})


def test_edges_are_tried_in_document_order() -> None:
    """The first whose guards all hold; a FAIL or UNDECIDED passes to the next."""
    assert EdgeChoice(edge=0) == _choice("P", "P", "P")
    assert EdgeChoice(edge=1) == _choice("F", "P", "S")
    assert EdgeChoice(edge=2) == _choice("U", "P", "F")


def test_an_unknown_edge_holds_only_when_it_is_reached() -> None:
    """An earlier edge that passes is taken; a later one is not, and the guards to blame are named."""
    assert EdgeChoice(edge=0) == _choice("P", "?", "?")
    assert EdgeChoice(edge=0, unknown=("a",)) == _choice("?", "P", "P")
    assert EdgeChoice(edge=1, unknown=("c",)) == _choice("F", "F", "?")


def test_a_state_without_a_way_out_is_refused() -> None:
    """The checker proves that this cannot be."""
    with pytest.raises(BadInputError, match="no edge"):
        choose(EDGES[:1], {"a": Verdict.FAIL})
