"""Whatever stands in a schedule, a manifest, a log or plain data, the answer is a record or a refusal."""

import json
from pathlib import Path
from typing import Any

import pytest
from corridor import CorridorProvider
from hostile import WORDS, answer, edited, fuzz, grafted, plain
from hypothesis import example, given
from hypothesis import strategies as st

from townlet.dto import codec
from townlet.dto.evidence import EvidenceTable
from townlet.dto.journal import RECORDS
from townlet.dto.policy import AnnealSummary, EvaluationResult, PPOTrainingResult
from townlet.dto.registry import LedgerEntry
from townlet.dto.schedule import EnvironmentSpec, Plan, ScheduleSpec
from townlet.dto.town import TownSpec
from townlet.errors import BadInputError, TownletError
from townlet.machine.schedule.loader import load_text
from townlet.machine.schedule.yaml_source import read
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentDescription
from townlet.store.manifest import read_manifest
from townlet.store.rundir import RunDirectory
from townlet.store.training_log import summarise
from townlet.store.untrusted import read_document

SCHEDULES = Path(__file__).parents[2] / "schedules"
SMALL = (SCHEDULES / "small_town.yaml").read_bytes()
DATA: dict[str, Any] = read(SMALL).data
KINDS = (
    ScheduleSpec,
    EvidenceTable,
    LedgerEntry,
    TownSpec,
    AnnealSummary,
    EvaluationResult,
    PPOTrainingResult,
    *RECORDS.values(),
)


def describe(spec: EnvironmentSpec) -> EnvironmentDescription:
    """Return the corridor under the name of the town; a stranger is refused as a provider would."""
    if (spec.id, spec.scenario) != ("town", "small_town"):
        raise BadInputError(f"unknown environment {spec.id!r}")
    return CorridorProvider().describe("plain")


def load(text: bytes) -> Plan:
    """Return the plan of a text."""
    return load_text(text, "fuzz.yaml", catalogue(), describe, folder=SCHEDULES)


@fuzz
@given(st.binary(max_size=300) | st.sampled_from(WORDS) | edited(SMALL))
def test_a_schedule_of_any_bytes_is_a_plan_or_a_refusal(text: bytes) -> None:
    """Anchors, tags, depth, noise, half characters: nothing but a refusal with a place."""
    answer(lambda: load(text))


@fuzz
@given(grafted(DATA))
@example({**DATA, "policies": {"x": {"file": "a\0b", "sha256": "0" * 64}}})
@example({**DATA, "policies": {"x": {"file": "/dev/zero", "sha256": "0" * 64}}})
@example({**DATA, "policies": {"x": {"file": "a" * 5000, "sha256": "0" * 64}}})
def test_a_schedule_of_any_values_is_a_plan_or_a_refusal(data: Any) -> None:
    """Well-formed YAML with values that no schedule has reaches every check."""
    text = json.dumps(data, allow_nan=True).replace("NaN", ".nan").replace("Infinity", ".inf")
    answer(lambda: load(text.encode()))


@fuzz
@given(plain | grafted(DATA), st.sampled_from(KINDS))
def test_plain_data_is_a_record_or_a_refusal(data: Any, kind: type) -> None:
    """Every record, any data: the converter never lets a foreign error through."""
    answer(lambda: codec.structure(data, kind))


@fuzz
@given(st.binary(max_size=200) | st.sampled_from(WORDS) | edited(b"samples:\n- {sample: a.npz, accepted: true}\n"))
def test_a_document_of_any_bytes_is_plain_data_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    """YAML and JSON from outside, and the manifest made of them."""
    folder = _folder(tmp_path_factory)
    for name in ("m.yaml", "m.json"):
        (folder / name).write_bytes(text)
        answer(lambda name=name: read_document(folder / name))  # type: ignore[misc]
        answer(lambda name=name: read_manifest(folder / name))  # type: ignore[misc]
        answer(lambda name=name: summarise(folder / name))  # type: ignore[misc]


LOG = b'{"epoch": 1.0, "updates": 2, "loss_policy": 0.1, "log_version": 1.2, "transitions": 5}\n'


@fuzz
@given(st.binary(max_size=200) | edited(LOG * 2))
def test_a_training_log_of_any_bytes_is_a_summary_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    """Lines of any kind."""
    path = _folder(tmp_path_factory) / "log.jsonl"
    path.write_bytes(text)
    answer(lambda: summarise(path))


@fuzz
@given(
    st.binary(max_size=200) | edited(b'{"id": "20260101T000000-a-abcdef", "created": "2026", "seed": 1}'),
    st.text(max_size=30),
)
@example(b"[" * 100000, "latest")
@example(b'{"id": "\\u0000"}', "a\0b")
def test_a_run_of_any_name_and_facts_is_found_or_refused(
    tmp_path_factory: pytest.TempPathFactory, facts: bytes, which: str
) -> None:
    """run.json is not believed, and a word that names no run says so."""
    home = _folder(tmp_path_factory)
    run = home / "runs" / "20260101T000000-a-abcdef"
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(facts)
    for word in (which, "latest", "2026"):
        answer(lambda word=word: RunDirectory.find(home, word).metadata())  # type: ignore[misc]
    answer(lambda: RunDirectory.every(home))


@fuzz
@given(st.text(max_size=40))
def test_a_run_is_created_inside_its_home_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """No name leads elsewhere."""
    home = _folder(tmp_path_factory) / "home"
    try:
        run = RunDirectory.create(home, name, b"", {})
    except TownletError:
        return
    assert run.path.resolve().is_relative_to((home / "runs").resolve())


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system", "object/new:os.system", "name:os.system", "module:antigravity"]
)
def test_nothing_is_imported_or_called_from_a_yaml(tmp_path: Path, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags of other loaders are refused by both readers, and what they name is not run."""
    monkeypatch.chdir(tmp_path)
    text = SMALL.replace(b"name: small-town", f"name: !!python/{tag} ['touch owned']".encode(), 1)
    assert isinstance(answer(lambda: load(text)), TownletError)
    (tmp_path / "m.yaml").write_text(f"samples: !!python/{tag} ['touch owned']")
    assert isinstance(answer(lambda: read_document(tmp_path / "m.yaml")), TownletError)
    assert ["m.yaml"] == [path.name for path in tmp_path.iterdir()]


def _folder(factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples of this file: what one leaves behind is there for the next."""
    folder = factory.getbasetemp() / "hostile"
    folder.mkdir(exist_ok=True)
    return folder
