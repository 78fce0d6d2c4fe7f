"""The content of a run: its journal, visits, verdicts, evidence and metrics as records, read and never changed."""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable
from townlet.dto.journal import EffectDone, Entry, GuardsJudged, TransitionTaken, VisitFinished, VisitStarted
from townlet.dto.policy import EvaluationResult
from townlet.dto.run_data import RunVisit, VisitEvidence, VisitGuard, VisitPoint
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.audit import run_columns
from townlet.machine.audit.metric_stream import metric_columns, read_metric_stream
from townlet.machine.audit.run_columns import Columns
from townlet.machine.audit.snapshot import RunSnapshot, first_record, snapshot_of
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import VerifiedJournal, read
from townlet.machine.journal.result_codec import load_result
from townlet.machine.journal.run_state import RunState
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["RunColumns", "RunData"]


@frozen(kw_only=True, slots=False, repr=False)
class RunData:
    """What a run had written when it was opened; evidence and metrics are read when they are asked for.

    Nothing is written. A run that goes on is opened again to see what it wrote since.
    """

    directory: RunDirectory
    """The paths of the run."""
    home: Path
    """Directory of runs, blobs and the registry, where the run does not belong to another."""
    catalogue: StrategyCatalogue
    """Strategies that its results are read by."""
    verified: VerifiedJournal = field(eq=False)
    """The journal, whose chain was verified."""

    @classmethod
    def read(cls, directory: RunDirectory, home: Path, catalogue: StrategyCatalogue) -> "RunData":
        """Return the content of a run; JournalBrokenError names the first record of its journal that is not valid."""
        verified = read(directory.journal, directory.head, catalogue)
        first_record(directory, verified.entries)
        return cls(directory=directory, home=home, catalogue=catalogue, verified=verified)

    def __repr__(self) -> str:
        """Return the run's id, and how much it has written."""
        return f"<run {self.id}: {len(self.journal)} records, {len(self.visits)} visits>"

    @property
    def id(self) -> str:
        """The run's id."""
        return self.directory.id

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @property
    def journal(self) -> tuple[Entry, ...]:
        """All records, oldest first."""
        return self.verified.entries

    @property
    def is_rehearsal(self) -> bool:
        """Whether the run only rehearses: its numbers then mean nothing."""
        return first_record(self.directory, self.journal).rehearsal

    @property
    def blobs(self) -> BlobStore:
        """Weights, data sets and evidence by digest, every read verified; BadInputError where the home is not there."""
        return BlobStore(self.directory.home(self.home) / "blobs")

    @cached_property
    def snapshot(self) -> RunSnapshot:
        """State and schedule after these records; BadInputError where the schedule is missing."""
        return snapshot_of(self.directory, self.verified, self.blobs, self.catalogue)

    @property
    def schedule(self) -> ScheduleSpec:
        """The schedule in force; BadInputError where it is missing."""
        return self.snapshot.schedule

    @property
    def state(self) -> RunState:
        """The state that the journal is folded into: where the run is, why, its candidate, what was accepted, …."""
        return self.snapshot.state

    @cached_property
    def visits(self) -> tuple[RunVisit, ...]:
        """All visits in the order in which they began, the open one too.

        BadInputError for a result whose strategy is not installed here, or that this version cannot read.
        """
        visits: dict[tuple[str, int], RunVisit] = {}
        last = ("", 0)
        for entry in self.journal:
            record = entry.record
            if isinstance(record, VisitStarted):
                last = record.state, record.visit
                first = RunVisit(state=record.state, visit=record.visit, attempts=1, started=entry.at)
                visits[last] = evolve(visits.get(last, first), attempts=record.attempt, to=None, why="")
            elif isinstance(record, VisitFinished):
                result = load_result(record.result, self.catalogue.entry(record.strategy).result)
                key = record.state, record.visit
                visits[key] = evolve(visits[key], strategy=record.strategy, finished=entry.at, result=result)
            elif isinstance(record, TransitionTaken) and record.source == last[0] and visits[last].to is None:
                visits[last] = evolve(visits[last], to=record.target, why=record.why)
        return tuple(visits.values())

    def promoted(self, digest: str) -> bool:
        """Return whether the run promoted the weights `digest`."""
        return any(isinstance(entry.record, EffectDone) and entry.record.target == digest for entry in self.journal)

    @cached_property
    def guards(self) -> tuple[VisitGuard, ...]:
        """The verdict of every guard of every visit, in the order of the journal."""
        return tuple(
            VisitGuard(seq=entry.seq, at=entry.at, state=record.state, visit=record.visit, report=report)
            for entry in self.journal
            if isinstance(record := entry.record, GuardsJudged)
            for report in record.reports
        )

    @cached_property
    def evidence(self) -> tuple[VisitEvidence, ...]:
        """The paired episodes of every visit that gathered some; BadInputError for a table that is lost or damaged."""
        return tuple(self._tables("evidence"))

    def _tables(self, name: Literal["evidence", "reward_terms"]) -> Iterator[VisitEvidence]:
        for visit in self.visits:
            digest = getattr(visit.result, name) if isinstance(visit.result, EvaluationResult) else ""
            if digest:
                table = structure(json.loads(self.blobs.get(digest)), EvidenceTable)
                yield VisitEvidence(state=visit.state, visit=visit.visit, digest=digest, table=table)

    @cached_property
    def reward_terms(self) -> tuple[VisitEvidence, ...]:
        """The terms of the rewards in the same episodes; none of a visit whose environment declares none.

        Errors are those of `evidence`.
        """
        return tuple(self._tables("reward_terms"))

    @property
    def points(self) -> tuple[VisitPoint, ...]:
        """What every iteration has reported by now, as the metric stream has it."""
        return read_metric_stream(self.directory.metrics)

    def metrics(self, state: str) -> dict[str, NDArray[np.float64]]:
        """Return what each iteration of a state measured, as columns of equal length: step, agent_steps, value_loss, ….

        A number that an iteration lacks is NaN. BadInputError, with those there are, for a state without iterations.
        """
        return metric_columns(self.points, state)

    @property
    def columns(self) -> "RunColumns":
        """The same as columns, for pandas and polars."""
        return RunColumns(self)


@frozen
class RunColumns:
    """The content of a run as columns of equal length by name: ``pandas.DataFrame(run.columns.guards)``."""

    run: RunData
    """The run."""

    @property
    def journal(self) -> Columns:
        """One row per record: seq, at, kind, state, visit, body (JSON text), hash."""
        return run_columns.journal_columns(self.run.journal)

    @property
    def visits(self) -> Columns:
        """One row per visit, with every metric of its result."""
        return run_columns.visit_columns(self.run.visits)

    @property
    def guards(self) -> Columns:
        """One row per guard and visit: verdict, value, limit, bounds, pairs, p-value, sentence, …."""
        return run_columns.guard_columns(self.run.guards)

    @property
    def measurements(self) -> Columns:
        """One row per evaluation, policy and KPI: value, unit, episodes, exposure, …."""
        return run_columns.measurement_columns(self.run.visits)

    def evidence(self, visit: int | None = None, *, state: str | None = None) -> Columns:
        """Return one row per visit, metric, side and episode; a side is `candidate` or the name of a baseline.

        `visit` and `state` choose visits, by default all that gathered evidence. BadInputError, with those there are,
        where none is so named.
        """
        chosen = [each for each in self.run.evidence if visit in (None, each.visit) and state in (None, each.state)]
        if not chosen and (visit, state) != (None, None):
            known = ", ".join(f"{each.state} visit {each.visit}" for each in self.run.evidence) or "none"
            wanted = " ".join(filter(None, [state, "" if visit is None else f"visit {visit}"]))
            raise BadInputError(f"no evidence of {wanted}; the run has that of: {known}")
        return run_columns.evidence_columns(chosen)

    def metrics(self, state: str) -> dict[str, NDArray[np.float64]]:
        """Return what each iteration of a state measured, one row per iteration; errors are those of `RunData`."""
        return self.run.metrics(state)
