"""Enumerated words are as exact as everything else the codec reads."""

import pytest

from townlet.dto.codec import CodecError, structure, unstructure
from townlet.dto.guards import GuardReport, Verdict


def test_a_word_comes_back_as_its_member() -> None:
    """What was dumped as plain text is the same verdict again, not text that looks like one."""
    report = GuardReport(guard="better", verdict=Verdict.PASS, sentence="")
    plain = unstructure(report)
    assert str is type(plain["verdict"])
    assert structure(plain, GuardReport).verdict is Verdict.PASS


def test_a_word_outside_the_list_is_refused() -> None:
    """The message names those there are."""
    with pytest.raises(CodecError, match="expected one of: pass, fail, undecided, unknown, skipped; found 'maybe'"):
        structure({"guard": "better", "verdict": "maybe", "sentence": ""}, GuardReport)
