"""The engine walks every path, in the order its journal promises."""

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from fakes import Bench
from plans import CATALOGUE, METRICS, SCHEDULE, make_plan

from townlet.dto.journal import EffectDone, EffectIntent, GuardsJudged, TransitionTaken, VisitStarted
from townlet.dto.policy import BCTrainingResult, EvaluationResult, TrainingResult
from townlet.errors import BadInputError
from townlet.machine.engine.engine import Engine
from townlet.machine.engine.visit import Visit
from townlet.machine.journal.chain import Journal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run."""
    return Bench(tmp_path)


def changing(**changes: object) -> Callable[[Visit, TrainingResult], TrainingResult]:
    """Return a script entry that changes fields of the answer."""
    return lambda visit, result: evolve(result, **changes)  # type: ignore[arg-type]


def test_a_better_candidate_is_promoted(bench: Bench) -> None:
    """Capture, clone, fine-tune, prove, promote, done; the alias names the candidate."""
    state = bench.walk()
    assert ["capture", "bc", "ppo", "evaluate", "promote", "done"] == bench.path_taken()
    assert state.champion_moved
    version = bench.registry.champion("fake-town", "champion")
    assert version is not None
    assert (state.candidate, state.evidence, state.clone) == (version.weights, version.evidence, version.parent)


def test_the_journal_is_written_in_the_promised_order(bench: Bench) -> None:
    """Started before the work, finished before the guards, guards before the transition, intent before the effect."""
    bench.walk()
    assert [
        "run_created",
        "process_started",
        "visit_started",
        "visit_finished",
        "guards",
        "transition",
        "visit_started",
        "visit_finished",
        "guards",
        "transition",
        "visit_started",
        "checkpoint",
        "checkpoint",
        "visit_finished",
        "guards",
        "transition",
        "visit_started",
        "checkpoint",
        "visit_finished",
        "guards",
        "transition",
        "visit_started",
        "effect_intent",
        "effect_done",
        "visit_finished",
        "guards",
        "transition",
        "run_closed",
    ] == bench.kinds()


def test_guards_are_judged_all_at_once_and_recorded_with_sentences(bench: Bench) -> None:
    """Evaluate's four edges name five guards; each has one report, in the order of the schedule."""
    bench.walk()
    judged = [e.record for e in bench.journal().entries if isinstance(e.record, GuardsJudged)]
    reports = next(record.reports for record in judged if record.state == "evaluate")
    assert ["loss_tolerance", "queue_tolerance", "better", "clearly_worse", "rounds_left"] == [r.guard for r in reports]
    assert ["skipped", "pass", "pass", "fail", "pass"] == [r.verdict.value for r in reports]
    assert reports[2].sentence.startswith("evaluate.return_per_agent_day ")
    assert "is better than champion (teacher:scripted) " in reports[2].sentence
    assert "above limit 0" in reports[2].sentence


def test_a_worse_candidate_is_rolled_back_with_a_smaller_learning_rate(bench: Bench) -> None:
    """Round 1 falls off a cliff and rolls back to the clone; round 2 starts there, scaled, and is promoted."""
    bench.school.skill = {"ppo 1": 5.0}
    bench.walk()
    assert ["capture", "bc", "ppo", "evaluate", "rollback", "ppo", "evaluate", "promote", "done"] == bench.path_taken()
    second = [visit for visit in bench.school.visits if visit.state == "ppo"][1]
    assert second.inputs["start"] == bench.school.policy("clone")
    assert (second.number, second.ramp_index, second.scale) == (2, 0, {"ppo.learning_rate": 0.5})
    assert second.spec == evolve(bench.plan.options["ppo"], learning_rate=0.5e-3)  # type: ignore[call-arg]


def test_rollbacks_end_in_a_hold_with_the_champion_untouched(bench: Bench) -> None:
    """Three rollbacks are the most; factors accumulate on the way."""
    bench.school.skill = {f"ppo {n}": 5.0 for n in range(1, 5)}
    state = bench.walk()
    assert ("hold", "rolled back too often") == (state.state, state.reason)
    assert state.scale == {"ppo.learning_rate": 0.125}
    assert bench.registry.champion("fake-town", "champion") is None
    assert state.closed is None


def test_a_diverged_update_is_rolled_back_without_an_evaluation(bench: Bench) -> None:
    """The guard `finite` fails, the unconditional edge leads to rollback."""
    bench.school.script = {("ppo", 1): changing(nonfinite_updates=1.0)}
    bench.walk()
    assert ["capture", "bc", "ppo", "rollback", "ppo"] == bench.path_taken()[:5]


def test_equal_candidates_are_never_promoted(bench: Bench) -> None:
    """Four rounds of a policy that acts exactly as the teacher end in done with the champion unchanged."""
    bench.school.noise = 0.0
    bench.school.skill = {f"ppo {n}": 10.0 for n in range(1, 5)}
    state = bench.walk()
    assert ("done", "no round produced a better policy", False) == (state.state, state.reason, state.champion_moved)
    assert 4 == state.rounds
    assert [0, 1, 2, 3] == [visit.ramp_index for visit in bench.school.visits if visit.state == "ppo"]


def test_a_round_that_was_not_rolled_back_is_accepted(bench: Bench) -> None:
    """The next round starts from it, and its value loss is the bar of the loss tolerance."""
    bench.school.skill = {"ppo 1": 10.0}
    bench.school.script = {("ppo", 2): changing(value_loss=0.5)}
    bench.walk()
    second = [visit for visit in bench.school.visits if visit.state == "ppo"][1]
    assert second.inputs["start"] == second.inputs["accepted"] == bench.school.policy("ppo 1")
    judged = [e.record for e in bench.journal().entries if isinstance(e.record, GuardsJudged)]
    loss = [r for record in judged if record.state == "evaluate" for r in record.reports if r.guard == "loss_tolerance"]
    assert ["skipped", "fail"] == [report.verdict.value for report in loss][:2]
    assert (0.5, 0.2, "relative") == (loss[1].value, loss[1].baseline, loss[1].tolerance)


def test_weights_equal_to_their_parent_are_not_accepted(bench: Bench) -> None:
    """A visit whose best weights are those it started from changed nothing."""
    bench.school.skill = {"clone": 10.0}
    clone = bench.school.policy("clone")
    bench.school.script = {("ppo", n): changing(weights=clone) for n in range(1, 5)}
    assert () == bench.walk().accepted


def test_nan_leads_to_hold_naming_guard_and_edge(bench: Bench) -> None:
    """A metric that is not a number is UNKNOWN: never a pass, never a failure."""
    bench.school.script = {("bc", 1): changing(heldout_accuracy=float("nan"))}
    state = bench.walk()
    assert "hold" == state.state
    assert state.reason == (
        "unknown on edge 0 of bc (to ppo): cloned: bc.heldout_accuracy is not known: its value is nan"
    )


def test_a_lost_race_holds(bench: Bench) -> None:
    """Another run promotes while ours is between its evaluation and its promotion."""

    def overtaken(visit: Visit, result: TrainingResult) -> TrainingResult:
        bench.registry.promote(
            "fake-town", "champion", target="f" * 64, expected=None, evidence=None, run="other", head="h", metadata={}
        )
        return result

    bench.school.script = {("evaluate", 1): overtaken}
    state = bench.walk()
    assert "hold" == state.state
    assert state.reason.startswith("champion moved")
    kinds = bench.kinds()
    assert ("effect_intent" in kinds, "effect_done" in kinds, "run_closed" in kinds) == (True, False, False)
    assert not state.champion_moved


def test_the_champion_in_force_is_the_bar_once_there_is_one(bench: Bench) -> None:
    """The alias is resolved and journalled at each visit's start."""
    champion = bench.school.policy("old champion")
    bench.school.skill = {"old champion": 11.0}
    bench.registry.promote(
        "fake-town", "champion", target=champion, expected=None, evidence=None, run="other", head="h", metadata={}
    )
    state = bench.walk()
    assert state.champion_moved
    started = [e.record for e in bench.journal().entries if isinstance(e.record, VisitStarted)]
    assert {champion} == {record.baseline_digests["champion"] for record in started}
    intents = [e.record for e in bench.journal().entries if isinstance(e.record, EffectIntent)]
    assert [champion] == [record.expected for record in intents]


def test_parent_is_what_the_last_fine_tuning_started_from(bench: Bench) -> None:
    """Pinned inside ppo and in the evaluation after it."""
    bench.walk()
    baseline_digests = {visit.state: visit.baseline_digests.get("parent") for visit in bench.school.visits}
    clone = bench.school.policy("clone")
    assert (None, clone, clone) == (baseline_digests["capture"], baseline_digests["ppo"], baseline_digests["evaluate"])


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ({"wall_clock": "10s"}, "beyond the budget of wall_clock: 10.0s"),
        ({"agent_steps": 1200}, "beyond the budget of agent_steps: 1500 of 1200"),
        ({"disk": "20B"}, "beyond the budget of disk: 20B"),
    ],
)
def test_budgets_hold(tmp_path: Path, budget: dict[str, object], reason: str) -> None:
    """Between two visits, never inside the judgement of one."""
    bench = Bench(tmp_path, plan=make_plan(budget=budget))
    state = bench.walk()
    assert ("hold", reason) == (state.state, state.reason)
    assert "transition" == bench.kinds()[-1]


def test_fine_tuning_may_start_from_the_champion_and_holds_where_there_is_none(tmp_path: Path) -> None:
    """A missing start is never taken for a fresh one."""
    states = {**SCHEDULE["states"]}
    states["ppo"] = {**states["ppo"], "with": {"start_from": "champion"}}
    bench = Bench(tmp_path, plan=make_plan(states=states))
    assert "ppo starts from the champion, but this run has none" == bench.walk().reason


def test_a_promotion_of_anything_but_the_candidate_fails(bench: Bench) -> None:
    """The effect refuses a target the evidence is not about."""

    def sneaky(visit: Visit, result: TrainingResult) -> TrainingResult:
        visit.effect(bench.school.policy("clone"))
        return result

    bench.school.script = {("bc", 1): sneaky}
    state = bench.walk()
    assert "failed" == state.state
    assert "may not move" in state.reason
    assert bench.registry.champion("fake-town", "champion") is None


def test_an_effect_is_done_once_however_often_it_is_asked(bench: Bench) -> None:
    """The second answer is the first one's record."""

    def twice(visit: Visit, result: TrainingResult) -> TrainingResult:
        assert result.weights is not None
        assert visit.effect(result.weights).version == 1
        return result

    bench.school.script = {("promote", 1): twice}
    bench.walk()
    assert 1 == len([e for e in bench.journal().entries if isinstance(e.record, EffectDone)])


def test_inputs_name_the_evidence_for_the_promotion(bench: Bench) -> None:
    """What the decision stands on is pinned."""
    bench.walk()
    promote = bench.school.visits[-1]
    evaluation = bench.engine().state.results["evaluate"]
    assert isinstance(evaluation, EvaluationResult)
    assert promote.inputs["evidence"] == evaluation.evidence


def test_evidence_stops_at_the_first_look_that_decides_every_guard(bench: Bench) -> None:
    """A large difference needs one look of two, and the stored table says so."""
    bench.walk()
    evaluation = bench.engine().state.results["evaluate"]
    assert isinstance(evaluation, EvaluationResult)
    assert 1 == evaluation.looks


def test_a_rehearsal_sees_every_state_and_promotes_nothing(tmp_path: Path) -> None:
    """Verdicts are recorded and not followed; the registry is not touched."""
    bench = Bench(tmp_path, rehearsal=True)
    bench.school.script = {("bc", 1): changing(heldout_accuracy=float("nan"))}
    state = bench.walk()
    assert set(SCHEDULE["states"]) == set(state.visits)
    assert ("done", False, True) == (state.state, state.champion_moved, state.rehearsal)
    assert not (tmp_path / "registry.sqlite").exists()
    assert "effect_done" not in bench.kinds()


def test_an_ended_run_is_left_alone(bench: Bench) -> None:
    """Running it again appends nothing."""
    bench.walk()
    before = bench.kinds()
    assert "done" == bench.walk().state
    assert before == bench.kinds()


def test_a_journal_without_a_run_is_refused(bench: Bench) -> None:
    """The engine creates no runs."""
    empty = Journal(bench.home / "empty.jsonl", bench.home / "empty.json", CATALOGUE)
    with pytest.raises(BadInputError, match="run_created"):
        Engine(
            bench.plan,
            empty,
            perform=bench.school,
            registry=bench.registry,
            blobs=bench.school.blobs,
            catalogue=CATALOGUE,
            metrics=METRICS,
            traceback=bench.home / "traceback.txt",
            inbox=bench.home / "inbox",
        )


def test_every_transition_names_an_edge_or_is_the_engines_own(bench: Bench) -> None:
    """A hold by the engine has no edge; a hold by the schedule has one."""
    bench.school.script = {("bc", 1): changing(heldout_accuracy=0.5)}
    bench.walk()
    moves = [e.record for e in bench.journal().entries if isinstance(e.record, TransitionTaken)]
    assert [("bc", 0), ("hold", 1)] == [(move.target, move.edge) for move in moves]
    assert isinstance(bench.engine().state.results["bc"], BCTrainingResult)
