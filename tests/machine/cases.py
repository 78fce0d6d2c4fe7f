"""What a judge may know after one evaluation, made by hand."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from fakes import ppo_result
from plans import METRICS, make_plan

from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.guards import GuardReport, GuardSpec
from townlet.dto.metrics import Measurement
from townlet.dto.policy import EvaluationResult
from townlet.dto.schedule import Plan
from townlet.errors import BadInputError
from townlet.machine.guards.context import GuardContext
from townlet.machine.guards.evaluate import evaluate_guard

CANDIDATE, CHAMPION, OTHER = "c" * 64, "b" * 64, "d" * 64
PLAN = make_plan()
RETURN, QUEUES = "return_per_agent_day", "queue_intensity"


def known(
    *,
    plan: Plan = PLAN,
    measurements: Sequence[Measurement] = (),
    table: EvidenceTable | None = None,
    **changes: Any,
) -> GuardContext:
    """Return what is known after one evaluation of `CANDIDATE` against `CHAMPION`."""
    evaluation = EvaluationResult(weights=CANDIDATE, measurements=tuple(measurements), evidence="e" * 64, looks=1)

    def read(digest: str) -> EvidenceTable:
        if table is None:
            raise BadInputError(f"blob {digest} is missing")
        return table

    found = GuardContext(
        plan=plan, metrics={spec.name: spec for spec in METRICS}, candidate=CANDIDATE,
        visits={"evaluate": 1, "ppo": 2}, results={"evaluate": evaluation, "ppo": ppo_result(CANDIDATE)}, accepted=(),
        baseline_digests={"champion": CHAMPION}, table=read,
    )  # fmt: skip
    return evolve(found, **changes)


def guard(**data: Any) -> GuardSpec:
    """Return a guard from plain data."""
    return structure(data, GuardSpec)


def asked(spec: GuardSpec, what: GuardContext) -> GuardReport:
    """Return the report on one guard."""
    return evaluate_guard("g", spec, what)


def compared(question: str, metric: str = RETURN, *, evidence: bool = False, **margin: Any) -> GuardSpec:
    """Return a comparison with the champion."""
    more = {"evidence": "full"} if evidence else {}
    return guard(metric=f"evaluate.{metric}", **{question: {"baseline": "champion", **margin}}, **more)


def table(
    candidate: Sequence[float | None], baseline: Sequence[float | None] = (), metric: str = RETURN, **changes: Any
) -> EvidenceTable:
    """Return evidence after the look that the number of episodes says; the baseline is 0 by default."""
    episodes = len(candidate)
    values = {"candidate": tuple(candidate), "champion": tuple(baseline or (0.0,) * episodes)}
    found = EvidenceTable(
        evidence="full", candidate=CANDIDATE, baselines={"champion": CHAMPION}, seed=1,
        looks=(20,) if episodes == 20 else (20, 40), metrics=(PairedMetric(metric=metric, values=values),),
    )  # fmt: skip
    return evolve(found, **changes)


def waves(mean: float, episodes: int, size: float = 1.0) -> list[float]:
    """Return mean ± size in turn."""
    return [mean + size * (-1) ** i for i in range(episodes)]
