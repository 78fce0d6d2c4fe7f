"""How the journal's records change between versions: earlier names are read, later versions are refused by name."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import frozen
from fakes import Bench, ppo_result
from plans import CATALOGUE

from townlet.canonical import canonical_json, seal_line
from townlet.dto.codec import CodecError, Record, structure
from townlet.dto.evolution import earlier_name, evolved, schema_version, stored_as
from townlet.dto.guards import GuardReport
from townlet.dto.journal import RECORDS, SEMANTIC_KINDS, VisitStarted
from townlet.dto.policy import BCTrainingResult, PPOTrainingResult
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.journal.chain import read
from townlet.machine.journal.result_codec import dump_result, load_result
from townlet.machine.journal.semantic_hash import semantic_part

VERSION_1 = {
    "run_created": "environment fingerprint name rehearsal run schedule seed",
    "process_started": "changed host pid promise",
    "recovered": "torn_bytes torn_sha256",
    "visit_started": "attempt expected inputs pins state visit",
    "checkpoint": "blob state step visit",
    "visit_finished": "result state strategy visit",
    "guards": "reports state visit",
    "transition": "edge source target why",
    "effect_intent": "alias evidence expected registry state target visit",
    "effect_done": "alias target version",
    "approval_requested": "edge expires report state",
    "operator": "actor arguments command id reason refused sent",
    "run_closed": "champion_moved reason state",
}
"""Keys of each kind in version 1, which old journals are full of."""
REPORT_VERSION_1 = "baseline dropped guard high limit look low metric pairs sentence tolerance value verdict"


@frozen(kw_only=True)
class Weather(Record):
    """A record of version 3: `wind` was called `breeze` before version 2, `rain` came with version 3."""

    place: str
    wind: float = evolved(since=2, was="breeze")
    rain: float = evolved(since=3, default=0.0)
    altitude: float = stored_as("height")


def test_a_field_that_came_later_says_since_when() -> None:
    """What was not in version 1 is declared with `evolved`; what was is still read under the name it had."""
    for name, words in {**VERSION_1, "report": REPORT_VERSION_1}.items():
        cls: Any = GuardReport if name == "report" else RECORDS[name]
        plain = {earlier_name(a) for a in attrs.fields(cls) if a.metadata.get("since", 1) == 1 or a.metadata["was"]}
        assert set(words.split()) == plain, name


def test_a_later_field_needs_a_way_to_read_earlier_files() -> None:
    """Neither an earlier name nor a default: files of earlier versions could not be read."""
    with pytest.raises(TypeError, match="expected `was` or `default`"):
        evolved(since=2)


def test_records_of_earlier_versions_are_read() -> None:
    """An earlier name counts, a missing addition has its default, and what is written has the present names."""
    weather = structure({"place": "hill", "breeze": 2.0, "height": 80.0}, Weather)
    assert Weather(place="hill", wind=2.0, rain=0.0, altitude=80.0) == weather
    assert {"place": "hill", "wind": 2.0, "rain": 0.0, "height": 80.0} == weather.model_dump()
    assert weather == structure(weather.model_dump(), Weather)


def test_a_field_under_both_names_is_refused() -> None:
    """Nobody wrote that."""
    with pytest.raises(CodecError, match="unknown key 'breeze'"):
        structure({"place": "hill", "breeze": 2.0, "wind": 2.0, "height": 80.0}, Weather)


def test_mistakes_are_named_as_they_stand_on_disk() -> None:
    """The reader of a file looks for its words, not for Python's."""
    with pytest.raises(CodecError, match=r"^height: expected a number"):
        structure({"place": "hill", "wind": 2.0, "height": "high"}, Weather)


def test_the_version_of_a_record_is_that_of_its_latest_field() -> None:
    """Records within it count too."""
    assert (3, 2) == (schema_version(Weather), schema_version(VisitStarted))
    assert schema_version(GuardReport) <= schema_version(RECORDS["guards"])


def test_equal_records_of_two_versions_have_the_same_semantic_part() -> None:
    """Names of version 1; an addition counts only where it holds something else than its default."""
    old = {"place": "hill", "breeze": 2.0, "height": 80.0}
    new = {"place": "hill", "wind": 2.0, "rain": 0.0, "height": 80.0}
    assert old == semantic_part(old, Weather) == semantic_part(new, Weather)
    assert {**old, "rain": 1.5} == semantic_part({**new, "rain": 1.5}, Weather)


def test_a_metric_that_came_later_counts_where_it_has_a_value() -> None:
    """A clone without box heads has no R²: its semantic part is that of before, and its earlier file is read."""
    old = {"heldout_accuracy": 0.9, "heldout_nll": 0.2, "train_accuracy": 0.9, "train_loss": 0.2, "value_loss": 0.3}
    old |= {"worst_recall": 0.8}
    clone = structure(old, BCTrainingResult)
    assert clone.heldout_r2 is None
    assert old == semantic_part(old, BCTrainingResult)
    assert semantic_part(old | {"heldout_r2": None}, BCTrainingResult) == old
    assert {**old, "heldout_r2": 0.9} == semantic_part(old | {"heldout_r2": 0.9}, BCTrainingResult)


def test_a_count_that_was_added_to_a_result_is_semantic_where_it_counts_something() -> None:
    """A run without empty masks has the hash that it had before they were counted; one with some has another."""
    results = (ppo_result(None, empty_masks=number) for number in (0.0, 3.0))
    plain, counted = (semantic_part(dump_result(each, PPOTrainingResult), PPOTrainingResult) for each in results)
    assert "empty_masks" not in plain
    assert counted == plain | {"empty_masks": 3.0}


def test_each_line_states_the_version_of_its_kind(tmp_path: Path) -> None:
    """An earlier Townlet reads on until the first record it does not know."""
    bench = Bench(tmp_path)
    bench.walk()
    lines = [json.loads(line) for line in bench.path.read_bytes().splitlines()]
    assert {(line["kind"], schema_version(RECORDS[line["kind"]])) for line in lines} == {
        (line["kind"], line["v"]) for line in lines
    }


def _read_changed(bench: Bench, seq: int, **changes: Any) -> None:
    """Read a journal whose line `seq` was changed as another version would have written it, with true hashes."""
    lines = [json.loads(line) for line in bench.path.read_bytes().splitlines()]
    lines[seq] |= changes
    for before, line in zip([None, *lines], lines, strict=False):
        line["previous"] = before["hash"] if before else line["previous"]
        del line["hash"]
        line.update(seal_line(line))
    bench.path.write_bytes(b"".join(canonical_json(line) + b"\n" for line in lines))
    read(bench.path, bench.home / "head.json", CATALOGUE)


def _bench(home: Path) -> Bench:
    bench = Bench(home)
    bench.walk()
    return bench


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"v": 9}, r"record 2 \(visit_started\) is of version 9, expected 2; use the Townlet that wrote it"),
        (
            {"kind": "visit_paused"},
            "record 2 is of kind 'visit_paused', expected one of run_created, .*; use the Townlet",
        ),
        ({"v": 0}, "record 2 is not valid: its version is 0, expected 1 or more"),
    ],
)
def test_a_record_of_another_version_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    """One sentence, with the number of the record and what to do."""
    with pytest.raises(JournalBrokenError, match=sentence):
        _read_changed(_bench(tmp_path), 2, **changes)


def test_the_townlet_that_wrote_a_record_is_named(tmp_path: Path) -> None:
    """The last process that took the run up says which it is, where it differs from the first."""
    process = {"pid": 1, "host": "here", "changed": {"townlet": "0.1.0 → 0.9.0"}, "promise": "exact"}
    with pytest.raises(JournalBrokenError, match=r"use the Townlet that wrote it, 0\.9\.0$"):
        _read_changed(_bench(tmp_path), 1, body=process, v=2)


def test_a_result_with_a_later_field_is_refused() -> None:
    """Results are plain data of a record; their classes gain fields like records do."""
    plain = dump_result(ppo_result("a" * 64), PPOTrainingResult)
    sentence = r"not a PPOTrainingResult of this version: mood: unknown key 'mood'.*; use the Townlet that wrote it"
    with pytest.raises(BadInputError, match=sentence):
        load_result({**plain, "mood": 1.0}, PPOTrainingResult)


def test_a_journal_with_a_later_field_in_a_result_is_refused(tmp_path: Path) -> None:
    """The field is named before any hash is compared; nobody takes a later version for a damaged journal."""
    bench = _bench(tmp_path)
    lines = [json.loads(line) for line in bench.path.read_bytes().splitlines()]
    seq, body = next((line["seq"], line["body"]) for line in lines if line["kind"] == "visit_finished")
    body["result"]["mood"] = 1.0
    with pytest.raises(
        JournalBrokenError, match=rf"record {seq} \(result of capture\) has the unknown field 'mood'; use"
    ):
        _read_changed(bench, seq, body=body)


def test_the_page_lists_every_kind() -> None:
    """Kind, what it says (the first sentence of its class) and whether the semantic hash covers it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "journal.md").read_text(encoding="utf-8")
    rows = [
        f"| `{kind}` | {(cls.__doc__ or '').splitlines()[0]} | {'yes' if kind in SEMANTIC_KINDS else 'no'} |"
        for kind, cls in RECORDS.items()
    ]
    assert rows == [line for line in page.splitlines() if line.startswith("| `") and line.endswith(("yes |", "no |"))]
