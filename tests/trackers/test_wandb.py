"""Weights & Biases (offline) and trackio (local) hold what was logged; `tox -e trackers` installs both."""

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorder import RUN, move, point

from townlet.trackers.wandb import TrackioTracker, WandbTracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def track(tracker: WandbTracker, folder: Path) -> None:
    """Track a small run."""
    tracker.open(RUN)
    tracker.log([point(100, returns=(1.5, 2.5)), point(200)])
    tracker.move(move(1, folder / "weights"))
    tracker.close("done")


def stored_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file of W&B: LevelDB's log format, blocks of 32 KiB, after a header of seven bytes."""
    position, whole = 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a full record, or the last part of one
            yield whole
            whole = b""


def test_wandb_holds_each_number_with_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that `wandb sync` uploads has the numbers under a step of their own; stdout stays empty."""
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    track(WandbTracker(home=tmp_path), tmp_path)
    (file,) = tmp_path.rglob("*.wandb")
    rows = list[dict[str, Any]]()
    for data in stored_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            rows.append({(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item})
    own = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]

    assert [
        {"train/value_loss": 0.5, "global_step": 100},
        {"rollout/ep_rew": 1.5, "global_step": 100},
        {"rollout/ep_rew": 2.5, "global_step": 100},
        {"train/value_loss": 0.5, "global_step": 200},
        {"alias/champion": 1, "global_step": 200},
    ] == own
    assert "" == capsys.readouterr().out


def test_trackio_holds_each_number_with_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its local database has the numbers; what it prints goes nowhere."""
    pytest.importorskip("trackio")
    from trackio import utils

    monkeypatch.setattr(utils, "TRACKIO_DIR", tmp_path)
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path)
    track(TrackioTracker(home=tmp_path), tmp_path)
    with sqlite3.connect(tmp_path / "town.db") as database:
        rows = [(step, json.loads(text)) for step, text in database.execute("SELECT step, metrics FROM metrics")]

    assert [
        (100, {"train/value_loss": 0.5}),
        (100, {"rollout/ep_rew": 1.5}),
        (100, {"rollout/ep_rew": 2.5}),
        (200, {"train/value_loss": 0.5}),
    ] == rows[:4]
    assert {"alias/champion": 1} == rows[4][1]
    assert "" == capsys.readouterr().out
