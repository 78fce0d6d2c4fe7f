"""The rows of a block are measured once, kept, and decided by no noise."""

import logging
from pathlib import Path

import numpy as np
import pytest

from townlet.policy.ppo import block_rows
from townlet.policy.ppo.backprop import transposed_product
from townlet.policy.ppo.block_rows import choose_block_rows, fastest

SHAPES = [(37, 64), (64, 5)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep choices in a folder of the test's own."""
    monkeypatch.setattr(block_rows, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_a_block_must_be_clearly_faster_than_all_rows_at_once() -> None:
    """5 % is what two measurements of the same product differ by."""
    assert 4096 == fastest({4096: 1.0, 256: 0.95, 384: 0.95})
    assert 256 == fastest({4096: 1.0, 256: 0.6, 384: 0.58})
    assert 384 == fastest({4096: 1.0, 256: 1.1, 384: 0.6})


def test_a_choice_is_measured_once_for_each_shape(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second question is answered from the file, whatever a measurement would say now."""
    first = choose_block_rows(SHAPES, 2048)
    assert first in (2048, 256, 384)
    (file,) = folder.iterdir()
    monkeypatch.setattr(block_rows, "measure_block_rows", lambda *_: {2048: 1.0, 256: 1.0, 384: 0.1})
    assert first == choose_block_rows(SHAPES, 2048)
    assert 384 == choose_block_rows(SHAPES[:1], 2048)
    file.write_text("nonsense", "ascii")
    assert 384 == choose_block_rows(SHAPES, 2048)
    assert "384\n" == file.read_text("ascii")


def test_a_choice_that_cannot_be_kept_is_made_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder is gone; one sentence says what follows from that."""
    monkeypatch.setattr(block_rows, "cache_folder", lambda: folder / "gone")
    with caplog.at_level(logging.WARNING):
        assert choose_block_rows(SHAPES, 2048) in (2048, 256, 384)
    assert "block_rows is measured anew in each run" in caplog.text


def test_small_minibatches_are_one_block(folder: Path) -> None:
    """Nothing is measured for them."""
    assert 512 == choose_block_rows(SHAPES, 512)
    assert not list(folder.iterdir())


def test_a_product_in_blocks_is_the_product() -> None:
    """Blocks that divide the rows, that do not, and one that holds them all."""
    rng = np.random.default_rng(3)
    x, d = rng.standard_normal((50, 4)), rng.standard_normal((50, 3))
    for block in (1, 7, 25, 50, 4096):
        assert np.allclose(x.T @ d, transposed_product(x, d, block, np.empty((4, 3))))
