"""The rows of a block are measured once, kept, and decided by no noise."""

import logging
from pathlib import Path

import numpy as np
import pytest
from corridor import CorridorProvider

from townlet.policy.gradient import block_rows
from townlet.policy.gradient.block_rows import choose_block_rows, fastest
from townlet.policy.gradient.layout import ParameterViews
from townlet.policy.model.initialise import fresh_weights

ABOUT, BLOCKS = CorridorProvider().describe("plain"), (256, 384, 512, 128)


def choose(width: int = 16, rows: int = 2048) -> int:
    """Return the choice for a small network."""
    weights = fresh_weights(ABOUT, (width,), np.random.default_rng(3))
    parameters = ParameterViews(weights.actor, weights.critic, weights.log_std)
    return choose_block_rows(parameters, ABOUT.actions, rows)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep choices in a folder of the test's own."""
    monkeypatch.setattr(block_rows, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_a_block_must_be_clearly_faster_than_the_usual_one() -> None:
    """A tenth is what two measurements of the same gradient may differ by, beside other programs."""
    assert 256 == fastest({256: 1.0, 384: 0.9, 512: 0.85})
    assert 384 == fastest({256: 1.0, 384: 0.6, 512: 0.58})
    assert 512 == fastest({256: 1.0, 384: 1.1, 512: 0.6})


def test_a_choice_is_measured_once_for_each_shape(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second question is answered from the file, whatever a measurement would say now."""
    first = choose()
    assert first in BLOCKS
    (file,) = folder.iterdir()
    monkeypatch.setattr(block_rows, "measure_block_rows", lambda *_: {256: 1.0, 384: 0.1, 512: 1.0, 128: 1.0})
    assert first == choose()
    assert 384 == choose(8)
    file.write_text("nonsense", "ascii")
    assert 384 == choose()
    assert "384\n" == file.read_text("ascii")


def test_a_choice_that_cannot_be_kept_is_made_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder is gone; one sentence says what follows from that."""
    monkeypatch.setattr(block_rows, "cache_folder", lambda: folder / "gone")
    with caplog.at_level(logging.WARNING):
        assert choose() in BLOCKS
    assert "block_rows is measured anew in each run" in caplog.text


def test_nothing_is_measured_for_small_minibatches(folder: Path) -> None:
    """They take the usual block."""
    assert 256 == choose(rows=512)
    assert not list(folder.iterdir())
