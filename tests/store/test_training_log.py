"""The training log: written as version 1.2 with rotation and frequency, read in every generation."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from training_logs import entry, write

from townlet.errors import BadInputError
from townlet.store.training_log import log_files, read_log, summarise, to_line

CORE = """
epoch updates transitions loss_policy loss_value loss_entropy loss_total clip_fraction adv_mean adv_std grad_norm
kl_divergence telemetry_version lr steps
"""
REST = """
adv_zero_std_batches adv_min_std clip_triggered_minibatches clip_fraction_max epoch_duration_sec data_mode
cycle_id batch_entropy_mean batch_entropy_std grad_norm_max kl_divergence_max reward_advantage_corr rollout_ticks
log_stream_offset queue_conflict_events queue_conflict_intensity_sum shared_meal_events late_help_events
shift_takeover_events chat_success_events chat_failure_events chat_quality_mean conflict.rivalry_max_mean_avg
conflict.rivalry_max_max_avg conflict.rivalry_avoid_count_mean_avg conflict.rivalry_avoid_count_max_avg
"""
ANNEAL = """
anneal_cycle anneal_stage anneal_dataset anneal_bc_accuracy anneal_bc_threshold anneal_bc_passed
anneal_loss_baseline anneal_queue_baseline anneal_intensity_baseline anneal_loss_flag anneal_queue_flag
anneal_intensity_flag
"""
KEYS, MORE, CLOSING = CORE.split(), REST.split(), ANNEAL.split()


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of one file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_every_key_of_its_version() -> None:
    """The names that scripts know, no others."""
    assert {*KEYS, *MORE} == set(json.loads(to_line(entry(1))))
    assert {*KEYS, *MORE, *CLOSING} == set(json.loads(to_line(entry(1, closing=True))))
    assert 1.2 == json.loads(to_line(entry(1)))["telemetry_version"]


def test_files_rotate_and_offsets_go_on(tmp_path: Path) -> None:
    """Three lines a file: LOG, LOG.1, LOG.2."""
    path = tmp_path / "x.jsonl"
    write(path, 7, max_entries=3)
    assert ["x.jsonl", "x.jsonl.1", "x.jsonl.2"] == [file.name for file in log_files(path)]
    assert [3, 3, 2] == [len(lines(file)) for file in log_files(path)]
    offsets = [line["log_stream_offset"] for file in log_files(path) for line in lines(file)]
    assert list(range(8)) == offsets


def test_the_frequency_keeps_the_last_epoch_and_the_closing_line(tmp_path: Path) -> None:
    """Every third of eight, the eighth, and the round's."""
    path = tmp_path / "x.jsonl"
    write(path, 8, frequency=3)
    assert [(3, False), (6, False), (8, False), (8, True)] == [
        (line["epoch"], "anneal_stage" in line) for line in lines(path)
    ]


def test_a_second_run_appends(tmp_path: Path) -> None:
    """Nothing that was logged is ever lost."""
    path = tmp_path / "x.jsonl"
    write(path, 2, max_entries=4)
    write(path, 2, max_entries=4)
    assert [0, 1, 2, 3, 4, 5] == [line.values["log_stream_offset"] for line in read_log(path)]


def test_the_summary_counts_epochs_and_flags(tmp_path: Path) -> None:
    """Closing lines are rounds, not epochs."""
    write(tmp_path / "x.jsonl", 4)
    found = summarise(tmp_path / "x.jsonl")
    assert (4, 1, 400, {"1.2": 5}, ()) == (
        found.epochs, found.rounds, found.transitions, dict(found.generations), found.missing
    )  # fmt: skip
    assert (0.5, 0.125) == (found.first["loss_value"], found.last["loss_value"])
    assert (True, None) == (found.flags[0].loss_flag, found.flags[0].queue_flag)


@pytest.mark.parametrize(
    ("version", "kept", "generation", "missing"),
    [
        (None, 0, "unversioned", ("health", "stream", "events", "conflict")),
        (1.0, 4, "1.0", ("stream", "events", "conflict")),
        (1.1, 14, "1.1", ("events", "conflict")),
        (1.2, len(MORE), "1.2", ()),
    ],
)
def test_older_generations_are_read(
    version: float | None, kept: int, generation: str, missing: tuple[str, ...], tmp_path: Path
) -> None:
    """The reader says which it saw and what it lacks; keys it does not know are kept."""
    whole = json.loads(to_line(entry(1)))
    old = {key: whole[key] for key in [*KEYS, *MORE[:kept]] if key != "telemetry_version"} | {"extra": 1}
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps(old | ({} if version is None else {"telemetry_version": version})) + "\n")
    (line,) = read_log(path)
    assert (generation, missing, 1) == (line.generation, line.missing, line.values["extra"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"loss_value": None}, "loss_value is None; expected a finite number"),
        ({"loss_value": float("inf")}, "loss_value is inf; expected a finite number"),
        ({"grad_norm_max": float("nan")}, "grad_norm_max is nan; expected a finite number"),
        ({"epoch": 1.5}, "expected a whole number"),
        ({"epoch": True}, "expected a finite number"),
        ({"telemetry_version": 9.0}, "this version reads up to 1.2"),
        ({"data_mode": [1]}, "data_mode is no number, word, true, false or null"),
    ],
)
def test_a_wrong_line_is_named(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    """File, line and key."""
    path = tmp_path / "x.jsonl"
    good = to_line(entry(1))
    path.write_text(good + "\n" + json.dumps(json.loads(good) | change) + "\n")
    with pytest.raises(BadInputError) as refused:
        read_log(path)
    assert f"{path}:2: " in str(refused.value)
    assert complaint in str(refused.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """A missing key, no JSON, a doubled key, an empty log, no log."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"epoch": 1}\nnot json\n{"epoch": 1, "epoch": 2}\n')
    with pytest.raises(BadInputError) as refused:
        read_log(path)
    assert 3 == len(str(refused.value).splitlines())
    path.write_text("")
    with pytest.raises(BadInputError, match="the log is empty"):
        read_log(path)
    with pytest.raises(BadInputError, match="there is no training log"):
        read_log(tmp_path / "absent.jsonl")


def test_a_link_to_a_file_that_is_missing_is_followed(tmp_path: Path) -> None:
    """The log may lie elsewhere."""
    (tmp_path / "x.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    write(tmp_path / "x.jsonl", 1)
    assert 2 == len(read_log(tmp_path / "elsewhere.jsonl"))


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    """Some editors put one before a text when they save it."""
    path = tmp_path / "log.jsonl"
    write(path, 2)
    without = read_log(path)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert without == read_log(path)
