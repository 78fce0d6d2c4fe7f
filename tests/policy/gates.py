"""Schedules that judge one hand-made policy against another in the town, and what their guards said."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from handmade import WAITS, Rules, weights_of

from townlet.dto.guards import GuardReport
from townlet.dto.journal import Entry, GuardsJudged
from townlet.dto.policy import AnnealSummary
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import EnvironmentProvider

HEAD = """\
schedule: townlet/v1
name: gate
seed: 3
environment: {id: town, scenario: small_town, worlds: 4}
registry: {name: gate}
"""

GATE = """\
teacher: random
policies: {given: {file: given.safetensors, sha256: DIGEST}, other: {file: other.safetensors, sha256: OTHER}}
evidence: {full: {episodes: [20, 40], days: 2, confidence: 95%, SUITE}}
baselines: {champion: {BASELINE}}
guards:
  better: {metric: EVALUATE.return_per_agent_day, better_by: {baseline: champion, absolute: 0}, evidence: full}
  queue_tolerance:
    metric: EVALUATE.queue_intensity
    not_worse_than: {baseline: champion, relative: 15%, floor: 0.05}
    evidence: full
  lives:
    metric: EVALUATE.deaths
    not_worse_than: {baseline: champion, relative: 25%, floor: 0.04}
    evidence: full
  EXTRA
initial: evaluate
states:
  evaluate:
    strategy: evaluate
    with: {candidate: given}
    next: [{to: promote, when: [GUARDS]}, {to: hold, why: not proven}]
  promote: {strategy: promote, next: [{to: done}]}
"""


def run_corridor(
    folder: Path, text: str, environments: EnvironmentProvider | None = None
) -> tuple[AnnealSummary, Mapping[str, GuardReport]]:
    """Walk a schedule and return what happened, and what each guard said last."""
    path, reports = folder / "schedule.yaml", {}
    path.write_text(HEAD + text, encoding="utf-8")

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, GuardsJudged):
            reports.update({report.guard: report for report in entry.record.reports})

    summary = PolicyTrainingOrchestrator(path, environments=environments, home=folder / "home", listen=listen).run()
    return summary, reports


def gate(
    folder: Path,
    given: Rules,
    *,
    other: Rules = WAITS,
    baseline: str = "alias: champion, otherwise: teacher",
    suite: str = "",
    extra: str = "",
    guards: str = "better, queue_tolerance, lives",
) -> str:
    """Write two policies and return the schedule that judges the first."""
    text = GATE
    files = {"given": ("DIGEST", weights_of(given)), "other": ("OTHER", weights_of(other, value_mean=1.0))}
    for name, (blank, data) in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
        text = text.replace(blank, sha256(data).hexdigest())
    where = "'evaluate[small_town].{0}'" if suite else "evaluate.{0}"
    for metric in ("return_per_agent_day", "queue_intensity", "deaths"):
        text = text.replace(f"EVALUATE.{metric}", where.format(metric))
    for blank, value in (("SUITE", suite), ("BASELINE", baseline), ("EXTRA", extra), ("GUARDS", guards)):
        text = text.replace(blank, value)
    return text.replace(", }", "}")
