"""Records of a run as columns: dictionaries of names to equally long columns, as pandas and polars take them.

Whole numbers are int64, other numbers float64 with NaN for a missing one, times datetime64[us] in UTC with NaT, text is
a list of str with None for what is missing. A column of whole numbers of which one is missing is float64.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.canonical import canonical_json
from townlet.dto.codec import unstructure
from townlet.dto.guards import GuardReport
from townlet.dto.journal import Entry
from townlet.dto.metrics import Measurement
from townlet.dto.policy import EvaluationResult, TrainingResult, statistics
from townlet.dto.run_data import RunVisit, VisitEvidence, VisitGuard

__all__ = [
    "Column",
    "Columns",
    "evidence_columns",
    "guard_columns",
    "journal_columns",
    "measurement_columns",
    "visit_columns",
]

Column = list[str | None] | NDArray[Any]
"""One column: a list of text, or an array [rows]."""
Columns = dict[str, Column]
"""Columns of equal length by name."""

_ROW = re.compile(r"\[(?P<scenario>.*)\]\.(?P<metric>[^.]+)", re.DOTALL)
"""The row of one scenario of a suite."""


def journal_columns(entries: Sequence[Entry]) -> Columns:
    """Return the journal, one row per record; `body` is the record itself as JSON text."""
    bodies: list[dict[str, Any]] = [unstructure(entry.record) for entry in entries]
    return {
        "seq": _whole([entry.seq for entry in entries]),
        "at": _times([entry.at for entry in entries]),
        "kind": [entry.record.kind for entry in entries],
        "state": [body.get("state", body.get("source")) for body in bodies],
        "visit": _numbers([body.get("visit") for body in bodies]),
        "body": [canonical_json(body).decode() for body in bodies],
        "hash": [entry.hash for entry in entries],
    }


def visit_columns(visits: Sequence[RunVisit]) -> Columns:
    """Return the visits, one row each, with every metric of their results; NaN where a result has no such metric."""
    results = [visit.result for visit in visits]
    names = dict.fromkeys(name for result in results if result is not None for name in statistics(type(result)))
    return {
        "state": [visit.state for visit in visits],
        "visit": _whole([visit.visit for visit in visits]),
        "strategy": [visit.strategy or None for visit in visits],
        "attempts": _whole([visit.attempts for visit in visits]),
        "started": _times([visit.started for visit in visits]),
        "finished": _times([visit.finished for visit in visits]),
        "to": [visit.to for visit in visits],
        "why": [visit.why or None for visit in visits],
        "weights": [None if result is None else result.weights for result in results],
        "flags": [None if result is None else ", ".join(result.flags) for result in results],
        "agent_steps": _whole([0 if result is None else result.agent_steps for result in results]),
        "duration": _numbers([None if result is None else result.duration for result in results]),
        **{name: _numbers([_metric(result, name) for result in results]) for name in names},
    }


def _metric(result: TrainingResult | None, name: str) -> float | None:
    """Return a metric of a result; None where it has no such metric, or its visit measured none."""
    if result is None or name not in statistics(type(result)):
        return None
    value: float | None = getattr(result, name)
    return value


def guard_columns(guards: Sequence[VisitGuard]) -> Columns:
    """Return the verdicts, one row per guard and visit, with the fields of the report.

    `candidate_missing` and `baseline_missing` are numbers of episodes.
    """
    columns: Columns = {
        "seq": _whole([guard.seq for guard in guards]),
        "at": _times([guard.at for guard in guards]),
        "state": [guard.state for guard in guards],
        "visit": _whole([guard.visit for guard in guards]),
    }
    return columns | _record_columns(GuardReport, [guard.report for guard in guards])


def measurement_columns(visits: Iterable[RunVisit]) -> Columns:
    """Return the KPIs of every policy in every evaluation, one row each, with what they were measured on."""
    rows = [
        (visit, each)
        for visit in visits
        if isinstance(visit.result, EvaluationResult)
        for each in visit.result.measurements
    ]
    columns: Columns = {
        "state": [visit.state for visit, _ in rows],
        "visit": _whole([visit.visit for visit, _ in rows]),
    }
    return columns | _record_columns(Measurement, [measurement for _, measurement in rows])


def evidence_columns(evidence: Iterable[VisitEvidence]) -> Columns:
    """Return evidence, one row per visit, metric, side and episode; a side is `candidate` or the name of a baseline.

    `value` is NaN where the side had no exposure in the episode, or no valid number (`is_valid` is False then); rows
    with the same state, visit, metric and episode are pairs unless `is_paired` is False.
    """
    rows = [row for each in evidence for row in _episodes(each)]
    kinds = {
        "state": str,
        "visit": int,
        "scenario": str,
        "metric": str,
        "side": str,
        "policy": str,
        "episode": int,
        "value": float,
        "is_valid": bool,
        "is_paired": bool,
    }
    return {name: _of_kind(kind, [row[index] for row in rows]) for index, (name, kind) in enumerate(kinds.items())}


def _episodes(evidence: VisitEvidence) -> Iterable[tuple[Any, ...]]:
    """Yield the cells of each row of one visit's evidence."""
    table = evidence.table
    for row in table.metrics:
        match = _ROW.fullmatch(row.metric)
        scenario, metric = (None, row.metric) if match is None else (match["scenario"], match["metric"])
        for side, values in row.values.items():
            policy = table.baselines.get(side, table.candidate)
            is_paired = not (table.is_unpaired(side) if side in table.baselines else table.unpaired)
            invalid = frozenset(row.invalid.get(side, ()))
            for episode, value in enumerate(values):
                is_valid = episode not in invalid
                yield (
                    evidence.state,
                    evidence.visit,
                    scenario,
                    metric,
                    side,
                    policy,
                    episode,
                    value if is_valid else None,
                    is_valid,
                    is_paired,
                )


def _record_columns(cls: type[GuardReport | Measurement], records: Sequence[GuardReport | Measurement]) -> Columns:
    """Return one column for each field of records of a class."""
    return {
        field.name: _of_kind(field.type, [getattr(record, field.name) for record in records])
        for field in attrs.fields(cls)
    }


def _of_kind(kind: Any, values: Sequence[Any]) -> Column:
    """Return a column by the type of the field that its values come from."""
    if kind is bool:
        return np.array(values, np.bool_)
    if kind is int:
        return _whole(values)
    if kind in (float, float | None, int | None):
        return _numbers(values)
    if kind == tuple[int, ...]:
        return _whole([len(value) for value in values])
    return [None if value is None else str(value) for value in values]


def _whole(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _times(values: Sequence[str | None]) -> "NDArray[np.datetime64]":
    moments = [None if value is None else _utc(value) for value in values]
    return np.array(moments, "datetime64[us]")


def _utc(moment: str) -> datetime:
    """Return a time in UTC without its zone, which numpy does not have; one without a zone counts as UTC."""
    parsed = datetime.fromisoformat(moment)
    return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).replace(tzinfo=None)
