"""Where a promoted policy comes from, in the layout of an in-toto statement, from the journal alone."""

import json
from hashlib import sha256
from typing import Any

import pytest
from homes import Town

from townlet.cli import run_command
from townlet.machine.journal.chain import read
from townlet.policy.training.strategies.base import catalogue


@pytest.fixture
def layout(town: Town, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The statement of the champion."""
    assert 0 == run_command(["registry", "show", "given@champion", "--provenance", "--home", str(town.home)])
    statement: dict[str, Any] = json.loads(capsys.readouterr().out)
    return statement


def is_descriptor(found: Any) -> bool:
    """Tell whether something is an in-toto ResourceDescriptor: a name, and a digest of hex text or a uri."""
    digest = found.get("digest", {})
    return (
        {"name", "digest", "uri"} >= set(found)
        and bool(found["name"])
        and bool(digest or found.get("uri"))
        and all(len(value) == 64 and int(value, 16) >= 0 for value in digest.values())
    )


def test_the_layout_is_that_of_a_statement(layout: dict[str, Any]) -> None:
    """Exactly the four fields of Statement v1; subjects carry digests."""
    assert {"_type", "subject", "predicateType", "predicate"} == set(layout)
    assert "https://in-toto.io/Statement/v1" == layout["_type"]
    assert layout["predicateType"].startswith("https://")
    assert all(is_descriptor(each) and each["digest"] for each in layout["subject"])
    assert all(is_descriptor(each) for each in (*layout["predicate"]["materials"], layout["predicate"]["schedule"]))


def test_it_names_what_the_promotion_stands_on(town: Town, layout: dict[str, Any]) -> None:
    """Weights, schedule, run, seed, versions, evidence, verdicts and the journal's head are those of the run."""
    run, predicate = town.run(1), layout["predicate"]
    version = town.registry.versions()[-1]
    assert [{"sha256": town.champion}] == [each["digest"] for each in layout["subject"]]
    assert sha256(run.schedule.read_bytes()).hexdigest() == predicate["schedule"]["digest"]["sha256"]
    assert (run.id, 3, 2) == (predicate["run"], predicate["seed"], predicate["version"])
    assert (version.evidence, town.registry.versions()[0].weights) == (predicate["evidence"], predicate["replaced"])
    assert [("better", "pass")] == [(guard["guard"], guard["verdict"]) for guard in predicate["guards"]]
    assert {"python", "numpy", "townlet"} <= set(predicate["versions"])
    entries = read(run.journal, run.head, catalogue()).entries
    assert entries[predicate["journal_seq"]].hash == predicate["journal_head"]
    assert "effect_done" == entries[predicate["journal_seq"]].record.kind


def test_its_materials_are_there(town: Town, layout: dict[str, Any]) -> None:
    """Data set, given weights and champion are blobs with the digest stated; teacher and scenario are named."""
    materials = {each["name"]: each for each in layout["predicate"]["materials"]}
    assert {"champion", "dataset", "environment", "evidence", "given", "teacher"} == set(materials)
    for name in ("champion", "dataset", "evidence", "given"):
        town.blobs.get(materials[name]["digest"]["sha256"])
    assert "teacher:random" == materials["teacher"]["uri"]
    assert "environment:corridor/plain" == materials["environment"]["uri"]


def test_a_version_whose_run_is_gone_is_told(town: Town) -> None:
    """There is no provenance without a journal."""
    journal = town.run(1).journal
    journal.write_bytes(journal.read_bytes()[:-40])
    assert 5 == run_command(["registry", "show", "given@2", "--provenance", "--home", str(town.home)])
