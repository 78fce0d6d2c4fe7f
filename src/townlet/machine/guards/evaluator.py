"""The hearing: what the judge may know at the end of a visit, and what it says, from the state of the run alone."""

import json
from collections.abc import Mapping

from attrs import frozen

from townlet.canonical import digest_of
from townlet.dto.codec import structure, unstructure
from townlet.dto.guards import EvidenceTable, GuardReport
from townlet.dto.journal import GuardsJudged
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import Plan
from townlet.machine.guards.evaluate import GuardContext, decided, judge
from townlet.machine.guards.verdicts import guards_of
from townlet.machine.journal.run_state import OpenVisit, RunState
from townlet.store.blobs import BlobStore

__all__ = ["GuardEvaluator", "report_hash"]


@frozen(kw_only=True)
class GuardEvaluator:
    """Judges visits of one run; the engine and the auditor hold the same."""

    plan: Plan
    """The schedule in force."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    blobs: BlobStore
    """Where the evidence is stored."""

    def reports(self, run: RunState, visit: OpenVisit) -> tuple[GuardReport, ...]:
        """Return the report of every guard named on any edge of the visit's state, once, without short cuts."""
        guards, known = self.plan.schedule.guards, self._known(run, visit, run.candidate)
        return tuple(judge(name, guards[name], known) for name in guards_of(self.plan.schedule, visit.state))

    def is_decided(self, run: RunState, visit: OpenVisit, table: EvidenceTable) -> bool:
        """Tell whether the looks that a table holds decide every guard that asks this evidence."""
        return decided(table, visit.state, self._known(run, visit, table.candidate))

    def _known(self, run: RunState, visit: OpenVisit, candidate: str | None) -> GuardContext:
        return GuardContext(
            plan=self.plan, metrics=self.metrics, candidate=candidate, visits=run.visits, results=run.results,
            accepted=run.accepted, baseline_digests=visit.baseline_digests, table=self._table,
        )  # fmt: skip

    def _table(self, digest: str) -> EvidenceTable:
        return structure(json.loads(self.blobs.get(digest)), EvidenceTable)


def report_hash(visit: OpenVisit) -> str:
    """Return the SHA-256 of a visit's guard report: what an approval is bound to."""
    judged = GuardsJudged(state=visit.state, visit=visit.number, reports=visit.reports or ())
    return digest_of(unstructure(judged))
