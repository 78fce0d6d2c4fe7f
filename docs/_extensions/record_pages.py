"""The reference pages on metrics, results and records of the journal."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from markdown_tables import BUILT_IN, FIELDS, MADE, field_rows, first_sentence, table

from townlet.dto import metrics, policy
from townlet.dto.evolution import schema_version
from townlet.dto.fields import DIRECTION, HIGH, LOW, UNIT, field_docs
from townlet.dto.journal import RECORDS, SEMANTIC_KINDS
from townlet.policy.training.strategies.base import catalogue

__all__ = ["metrics_page", "records_page", "results_page"]


def metrics_page() -> str:
    """Return docs/reference/metrics.md: what guards can ask of each strategy, with unit, direction and range."""
    lines = [
        "# Metrics: what a guard can ask for, with units",
        "",
        "A guard names a metric as `STATE.NAME`, where STATE is a state of the schedule; the strategy that it runs "
        "decides which names there are. *Better* is the direction in which it improves; `check` refuses a limit that "
        "no value in the range can reach. " + MADE.format("townlet.dto.policy"),
        "",
    ]
    for name in BUILT_IN:
        result = catalogue().entries[name].result
        fields = policy.statistics(result)
        if fields:
            docs = field_docs(result)
            rows = ([f"`{key}`", docs[key], *_scale(field.metadata)] for key, field in fields.items())
            lines += [f"## {name}", "", first_sentence(result), ""]
            lines += table(("metric", "meaning", "unit", "better", "range"), rows)
    lines += [
        "## evaluate",
        "",
        "An evaluate state measures the KPIs that the environment declares, each with its own unit, direction and "
        "exposure: of the town [these](town.md#kpis-of-small-town), of an environment of Gymnasium or PettingZoo "
        "`return_per_episode`, `episode_length` and what `environment.metrics` reads from its infos "
        "([environments](environment.md)). The record of a KPI:",
        "",
        *table(FIELDS[:3], (row[:3] for row in field_rows(metrics.MetricSpec))),
        "## Units",
        "",
        *table(("unit", "meaning"), _UNITS),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _scale(metadata: Mapping[str, Any]) -> list[str]:
    low, high = metadata[LOW], metadata[HIGH]
    bounds = f"{'−∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
    return [metadata[UNIT], str(metadata[DIRECTION]), "any" if low is high is None else bounds]


_UNITS = (
    ("1", "a number without a unit"),
    ("fraction, share", "0 to 1"),
    ("nat", "natural logarithms of probabilities: entropy, KL divergence, negative log-likelihood"),
    ("agent-steps", "one agent slot's decision: worlds × slots × decisions, masked ones included"),
    ("1/agent-day", "a rate per agent slot and simulated day, dead time included, so that dying is never cheap"),
    ("1/agent-step", "a mean per decision of an agent slot"),
    ("1/s", "a speed: it differs between equal runs and is no part of the semantic hash"),
    ("episodes, decisions, updates, conflicts", "counts"),
)


def results_page() -> str:
    """Return docs/reference/results.md: the records that strategies and runs answer with."""
    lines = [
        "# Results: what strategies and runs answer with",
        "",
        "Every result is a frozen record; `model_dump()` gives it as plain data. A field outside the semantic hash may "
        "differ between two runs that did the same (times, paths, speeds). The first table holds what every result "
        "has. " + MADE.format("townlet.dto.policy"),
        "",
    ]
    shared = {field.name for field in attrs.fields(policy.TrainingResult)}
    for cls in _RESULTS:
        own = cls is policy.TrainingResult or not issubclass(cls, policy.TrainingResult)
        rows = (row for row in field_rows(cls) if own or row[0].strip("`") not in shared)
        lines += [f"## {cls.__name__}", "", first_sentence(cls), "", *table(FIELDS, rows)]
    return "\n".join(lines).rstrip() + "\n"


_RESULTS: tuple[Any, ...] = (
    *(policy.TrainingResult, policy.CaptureResult, policy.BCTrainingResult, policy.PPOTrainingResult),
    *(policy.ReplayResult, policy.EvaluationResult, metrics.Measurement, metrics.InvalidValues),
    *(policy.PromotionResult, policy.RollbackResult, policy.AnnealStageResult, policy.AnnealSummary),
)


def records_page() -> str:
    """Return docs/reference/journal_records.md: every kind of record of the journal, field by field."""
    lines = [
        "# The journal: every record",
        "",
        "[The journal](journal.md) says how a line is made and hashed. Here is the `body` of each kind, in the order "
        "in which a run may write them. " + MADE.format("townlet.dto.journal"),
        "",
    ]
    for record in _records():
        hashed = record.kind in SEMANTIC_KINDS
        lines += [f"## `{record.kind}`", "", first_sentence(record), ""]
        if hashed:
            lines += [f"Version {schema_version(record)}; in the semantic hash.", ""]
            lines += table(FIELDS, field_rows(record))
        else:
            lines += [f"Version {schema_version(record)}; no part of the semantic hash.", ""]
            lines += table(FIELDS[:3], (row[:3] for row in field_rows(record)))
    return "\n".join(lines).rstrip() + "\n"


def _records() -> Sequence[Any]:
    return tuple(RECORDS.values()) if isinstance(RECORDS, Mapping) else tuple(RECORDS)
