"""What earlier versions left on a disk is read, folded and replayed, and what a later one wrote is refused."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from corridor import CorridorProvider
from record import played, town

from townlet.canonical import GENESIS, canonical_json, seal_line
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import Entry, GuardsJudged, JournalRecord, TransitionTaken, VisitFinished, VisitStarted
from townlet.dto.policy import TrainingResult
from townlet.errors import JournalBrokenError, TownletError
from townlet.machine.audit.gc import live_digests, stored_schedule
from townlet.machine.audit.limitations import find_limitations
from townlet.machine.audit.verify import verify
from townlet.machine.engine.engine import Engine
from townlet.machine.engine.visit import Visit
from townlet.machine.journal.chain import Journal, read
from townlet.machine.journal.fold import fold
from townlet.machine.journal.result_codec import load_result
from townlet.machine.journal.semantic_hash import next_semantic_hash
from townlet.machine.schedule.loader import load
from townlet.policy.data.dataset import read_dataset
from townlet.policy.data.trajectories import read_trajectories
from townlet.policy.model.weights import read_weights, verifier
from townlet.policy.training.checkpoint import read_checkpoint
from townlet.policy.training.ppo_progress import parent_of
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory
from townlet.world.features import RULES_VERSION

HOMES = sorted(path for path in Path(__file__).parent.iterdir() if path.name.startswith("v"))
KNOWN = catalogue()


@pytest.fixture(params=HOMES, ids=lambda path: path.name)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a golden home."""
    shutil.copytree(request.param, tmp_path / "home")
    return tmp_path / "home"


def test_every_version_has_a_small_home() -> None:
    """There is at least one, and each stays below 130 kB."""
    assert "v1" in [path.name for path in HOMES]
    for path in HOMES:
        assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < 130_000


def test_what_it_could_not_see_is_found(home: Path) -> None:
    """Evidence and reports of an earlier rule say it too, without what they did not have."""
    run = RunDirectory.find(home, "latest")
    limitations = find_limitations(
        run,
        read(run.journal, run.head, KNOWN).entries,
        BlobStore(home / "blobs"),
        KNOWN,
        lambda spec: CorridorProvider().describe(spec.scenario),
    )
    *_, visit = limitations.visits
    assert ["queue_intensity"] == [move.metric for move in visit.moves]
    assert ["better", "worse"] == [guard.guard for guard in visit.guards if guard.passes_at is not None]
    assert [None, None] == [guard.skewness for guard in visit.guards]


def test_it_is_read_verified_and_folded(home: Path) -> None:
    """Chain, head and blobs hold; the fold ends where the run ended."""
    run = RunDirectory.find(home, "latest")
    report = verify(run, BlobStore(home / "blobs"), KNOWN)
    assert () == report.problems
    state = fold(read(run.journal, run.head, KNOWN).entries, stored_schedule(run), KNOWN)
    assert ("done", True) == (state.state, state.champion_moved)


def test_it_is_replayed_to_the_same_decisions(home: Path, tmp_path: Path) -> None:
    """An engine that gets the recorded results evaluates the stored evidence and takes the same transitions.

    The hashes may differ: results have gained fields since.
    """
    run = RunDirectory.find(home, "latest")
    recorded = read(run.journal, run.head, KNOWN)
    journal = Journal(tmp_path / "journal.jsonl", tmp_path / "head.json", KNOWN)
    journal.append(recorded.entries[0].record)
    state = _engine(home, journal, recorded.entries, tmp_path / "registry.sqlite").run()
    assert ("done", "") == (state.state, state.reason * (state.state != "done"))
    assert _decisions(recorded.entries) == _decisions(journal.entries)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_run_that_it_left_open_is_resumed(home: Path, tmp_path: Path, share: float) -> None:
    """Records of this version follow those of an earlier one in one valid chain, with the same decisions."""
    run = RunDirectory.find(home, "latest")
    recorded = read(run.journal, run.head, KNOWN)
    cut = round(share * len(recorded.entries))
    _cut(run, recorded.entries[:cut])
    journal = Journal(run.journal, run.head, KNOWN)
    state = _engine(home, journal, recorded.entries, tmp_path / "registry.sqlite").run()
    assert ("done", "") == (state.state, state.reason * (state.state != "done"))
    resumed = read(run.journal, run.head, KNOWN)
    assert recorded.entries[:cut] == resumed.entries[:cut]
    assert _decisions(recorded.entries) == _decisions(resumed.entries)


def test_earlier_names_of_fields_are_read(home: Path) -> None:
    """What was `pins` and `expected` in version 1 is the baselines' digests and the expected champion."""
    run = RunDirectory.find(home, "latest")
    records = [entry.record for entry in read(run.journal, run.head, KNOWN).entries]
    bodies = [json.loads(line)["body"] for line in run.journal.read_bytes().splitlines()]
    started = [(record, body) for record, body in zip(records, bodies, strict=True) if isinstance(record, VisitStarted)]
    assert started
    for record, body in started:
        assert body.get("pins", body.get("baseline_digests")) == record.baseline_digests
        assert body.get("expected", body.get("expected_champion")) == record.expected_champion


def _cut(run: RunDirectory, entries: Sequence[Entry]) -> None:
    """Leave the journal as a process that was killed after `entries` would have left it."""
    semantic = GENESIS
    for entry in entries:
        semantic = next_semantic_hash(semantic, entry.record, KNOWN)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join(lines[: len(entries)]))
    run.head.write_bytes(canonical_json({"seq": len(entries) - 1, "hash": entries[-1].hash, "semantic": semantic}))


def _engine(home: Path, journal: Journal, recorded: Sequence[Entry], registry: Path) -> Engine:
    """Return an engine on `journal` whose strategies return the recorded results."""
    run, blobs, corridors = RunDirectory.find(home, "latest"), BlobStore(home / "blobs"), CorridorProvider()
    results = {
        (e.record.state, e.record.visit): load_result(e.record.result, KNOWN.entries[e.record.strategy].result)
        for e in recorded
        if isinstance(e.record, VisitFinished)
    }

    def perform(visit: Visit) -> TrainingResult:
        if KNOWN.entries[visit.strategy].effect:
            visit.effect(visit.inputs["candidate"])
        return results[visit.state, visit.number]

    return Engine(
        load(run.schedule, KNOWN, lambda spec: corridors.describe(spec.scenario)),
        journal,
        perform=perform,
        registry=Registry(registry, verify=verifier(blobs.get)),
        blobs=blobs,
        catalogue=KNOWN,
        metrics=corridors.describe("plain").metrics,
        traceback=home / "traceback.txt",
        inbox=home / "inbox",
    )


def _decisions(entries: Iterable[Entry]) -> list[JournalRecord]:
    """Return verdicts and transitions, without what belongs to the rule that decided them: bounds and words."""
    records = (entry.record for entry in entries)
    names = ("rule", "low", "high", "limit", "sentence", "p_value", "skewness", "test", "worst", "worst_episode")
    blank: dict[str, Any] = {
        name: getattr(GuardReport(guard="", verdict=Verdict.PASS, sentence=""), name) for name in names
    }
    return [
        evolve(record, reports=tuple(evolve(report, **blank) for report in record.reports))
        if isinstance(record, GuardsJudged)
        else record
        for record in records
        if isinstance(record, GuardsJudged | TransitionTaken)
    ]


def test_its_registry_names_weights_that_act_as_they_did(home: Path) -> None:
    """Database and ledger agree; the champion's probe is played again."""
    registry = Registry(home / "registry.sqlite")
    champion = registry.champion("corridor", "champion")
    assert champion is not None
    weights = read_weights(BlobStore(home / "blobs").get(champion.weights), "champion")
    assert weights.probe is not None
    assert [champion] == [entry.version for entry in registry.ledger.read()]


def test_its_data_set_is_read(home: Path) -> None:
    """What was captured then can be learned from now."""
    run, blobs = RunDirectory.find(home, "latest"), BlobStore(home / "blobs")
    state = fold(read(run.journal, run.head, KNOWN).entries, stored_schedule(run), KNOWN)
    assert state.dataset is not None
    assert 8 == read_dataset(blobs.get(state.dataset), "data set").observations.shape[1]


def test_its_checkpoints_are_read(home: Path) -> None:
    """What open visits left is read without torch: the clone's layers, the weights, moments and play of ppo."""
    files, about = home / "checkpoints", CorridorProvider().describe("plain")
    clone, ppo = (read_checkpoint((files / f"{s}.safetensors").read_bytes(), s, s) for s in ("bc", "ppo"))
    assert (len(about.features), 8) == clone.part("actor")["0.w"].shape == clone.part("actor_adam")["0.exp_avg"].shape
    parent = parent_of(ppo)
    assert (about.features, about.actions.outputs) == (parent.metadata.features, parent.metadata.actions)
    assert ppo.step == len(ppo.arrays["history"]) == len(ppo.arrays["rewards"])
    assert ppo.part("rollout")["environment"].size


def test_its_town_goes_on(home: Path) -> None:
    """A snapshot is played on to the same state; under other rules it is refused and never guessed at."""
    data = (home / "snapshots" / "town.snapshot").read_bytes()
    told, batch = json.loads((home / "snapshots" / "town.json").read_text()), town()
    if told["rules"] == RULES_VERSION:
        batch.restore(data)
        assert told["then"] == played(batch)
    else:
        with pytest.raises(TownletError, match="expected a snapshot of"):
            batch.restore(data)


def test_nothing_of_it_is_unnamed(home: Path) -> None:
    """A sweep of a finished run would free nothing but checkpoints."""
    run, blobs = RunDirectory.find(home, "latest"), BlobStore(home / "blobs")
    keep = live_digests(read(run.journal, run.head, KNOWN).entries, run.schedule.read_bytes(), blobs)
    assert (0, 0) == blobs.sweep(keep, blobs.mark() + 1, dry=True)


def _later_journal(home: Path) -> None:
    run = RunDirectory.find(home, "latest")
    first = json.loads(run.journal.read_bytes().splitlines()[0])
    del first["hash"]
    run.journal.write_bytes(canonical_json(seal_line({**first, "v": 99})) + b"\n")
    read(run.journal, run.head, KNOWN)


def _later_weights(home: Path) -> None:
    champion = Registry(home / "registry.sqlite").champion("corridor", "champion")
    assert champion is not None
    data = BlobStore(home / "blobs").get(champion.weights)
    read_weights(data.replace(b'\\"schema\\":1', b'\\"schema\\":9'), "w")


def _later_data(home: Path, reader: Callable[[bytes, str], object]) -> None:
    run, blobs = RunDirectory.find(home, "latest"), BlobStore(home / "blobs")
    state = fold(read(run.journal, run.head, KNOWN).entries, stored_schedule(run), KNOWN)
    assert state.dataset is not None
    reader(blobs.get(state.dataset).replace(b'\\"schema\\":1', b'\\"schema\\":9'), "d")


def _later_checkpoint(home: Path) -> None:
    data = (home / "checkpoints" / "ppo.safetensors").read_bytes()
    read_checkpoint(data.replace(b'\\"schema\\":1', b'\\"schema\\":9'), "ppo", "c")


def _later_snapshot(home: Path) -> None:
    town().restore((home / "snapshots" / "town.snapshot").read_bytes().replace(b"town/1", b"town/9", 1))


def _later_schedule(home: Path) -> None:
    path = RunDirectory.find(home, "latest").schedule
    path.write_bytes(path.read_bytes().replace(b"townlet/v1", b"townlet/v9"))
    load(path, KNOWN, lambda spec: CorridorProvider().describe(spec.scenario))


def _later_ledger(home: Path) -> None:
    path = home / "registry.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"v":9'))
    Registry(home / "registry.sqlite").versions()


def _later_registry(home: Path) -> None:
    path = home / "registry.sqlite"
    data = bytearray(path.read_bytes())
    data[60:64] = (9).to_bytes(4, "big")  # PRAGMA user_version stands there (SQLite file format, 1.3)
    path.write_bytes(data)
    Registry(path).versions()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (_later_journal, "record 0 (run_created) is of version 99, expected 3; use the Townlet that wrote it, 0.1.0"),
        (_later_weights, "schema: expected 1, found 9; use the Townlet that wrote it"),
        (lambda home: _later_data(home, read_dataset), "schema: expected 1, found 9; use the Townlet that wrote it"),
        (
            lambda home: _later_data(home, read_trajectories),
            "schema: expected 1, found 9; use the Townlet that wrote it",
        ),
        (_later_checkpoint, "schema: expected 1, found 9; use the Townlet that wrote it"),
        (_later_snapshot, "found b'townlet-town/9', expected b'townlet-town/1'; use the Townlet that wrote it"),
        (_later_schedule, "expected 'townlet/v1', found 'townlet/v9'"),
        (_later_ledger, "written as version 9, expected 1"),
        (_later_registry, "schema version 9, expected 1"),
    ],
    ids=["journal", "weights", "data set", "recorded play", "checkpoint", "snapshot", "schedule", "ledger", "registry"],
)
def test_what_a_later_version_wrote_is_refused(home: Path, ask: Callable[[Path], None], sentence: str) -> None:
    """Each file states its version; one that is not known is told and never guessed at."""
    with pytest.raises(TownletError) as refused:
        ask(home)
    assert sentence in str(refused.value)
    assert isinstance(refused.value, JournalBrokenError) == (ask is _later_journal)
