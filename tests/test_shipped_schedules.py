"""Every shipped schedule is sound, fake strategies take every one of its edges, and commands accept its name."""

import json
from itertools import product
from pathlib import Path
from random import Random

import attrs
import pytest
from pebbles import pebble

from townlet.cli import run_command
from townlet.dto import policy
from townlet.dto.codec import unstructure
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.guards import ComparisonSpec, Relation, ThresholdSpec
from townlet.dto.metrics import Measurement
from townlet.dto.policy import TrainingResult
from townlet.dto.schedule import Plan
from townlet.dto.strategies import EvaluateSpec, RollbackSpec
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.machine.schedule import shipped
from townlet.machine.schedule.shipped import editor_line, find_schedule, schema_file, shipped_schedules
from townlet.machine.schedule.tails import unguarded_tails
from townlet.policy.training import launch
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import TrainingStrategy, catalogue

ROOT = Path(__file__).parents[1]
SCHEDULES = sorted([*(ROOT / "schedules").glob("*.yaml"), *(ROOT / "tests" / "schedules").glob("*.yaml")])
FOREIGN = ("lunar_lander", "simple_spread", "inventory")
PLAYED = [pytest.param(path, marks=[pytest.mark.long] if path.stem in FOREIGN else []) for path in SCHEDULES]
IMPORTS = Imports(("or_gymnasium",))
DOUBTFUL, GOOD = (0.0, 0.5, 0.8), (1.0,)
"""The chances, one of them drawn for each visit, with which each metric of a visit satisfies its guards."""


@attrs.define
class FakeStrategy:
    """A strategy without training: a chance decides whether its metrics satisfy their guards."""

    name: str
    random: Random
    doubted: str
    """The strategy whose visits may fail; those of the others satisfy all guards."""
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse nothing."""

    def run(self, context: TrainingContext) -> TrainingResult:
        """Return a result whose numbers fit the chance that is drawn."""
        chance = self.random.choice(DOUBTFUL if self.name == self.doubted else GOOD)
        result = catalogue().entries[self.name].result
        statistics = {
            name: self._value(context.plan, f"{context.visit.state}.{name}", chance)
            for name in policy.statistics(result)
        }
        return {
            "capture": self._capture, "bc": self._trained, "ppo": self._trained, "evaluate": self._evaluate,
            "promote": self._promote, "rollback": self._rollback,
        }[self.name](context, result, statistics, chance)  # fmt: skip

    def _good(self, chance: float) -> bool:
        return self.random.random() < chance

    def _value(self, plan: Plan, metric: str, chance: float) -> float:
        """Return a value on one side of the threshold that judges a metric; anything where none does."""
        for guard in plan.schedule.guards.values():
            if guard.subject != metric:
                continue
            match guard:
                case ThresholdSpec(at_least=float(limit)):
                    return limit + (0.01 if self._good(chance) else -0.01)
                case ThresholdSpec(at_most=float(limit)):
                    return limit + (0.0 if self._good(chance) else 1.0)
                case ComparisonSpec(relation=Relation.NOT_WORSE_THAN):
                    return 0.1 if self._good(chance) else 50.0 + self.random.random()
        return 0.5

    def _weights(self, context: TrainingContext) -> str:
        return context.blobs.put(pebble(f"{context.visit.state} {self.random.random()}"))

    def _capture(self, context: TrainingContext, cls: type, numbers: dict, chance: float) -> TrainingResult:
        return cls(**numbers, action_counts={"wait": 1}, blobs={"dataset": self._weights(context)})

    def _trained(self, context: TrainingContext, cls: type, numbers: dict, chance: float) -> TrainingResult:
        return cls(**numbers, weights=self._weights(context))

    def _evaluate(self, context: TrainingContext, cls: type, numbers: dict, chance: float) -> TrainingResult:
        spec = context.options_as(EvaluateSpec)
        candidate, baselines = context.input(spec.candidate), dict(context.visit.baseline_digests)
        evidence = context.schedule.evidence[spec.evidence]
        looks, rows, measured = evidence.episodes, [], []
        own = context.schedule.environment.scenario
        for scenario, kpi in product(evidence.scenarios or (own,), context.description.metrics):
            noise = [self.random.gauss(0, 0.1) for _ in range(looks[-1])]
            sign = {"higher": 1, "lower": -1, "none": 0}[kpi.direction.value]
            shift = sign * (2.0 if self._good(chance) else -100.0)  # beyond every tolerance
            values = {name: tuple(10 + x for x in noise) for name in baselines}
            values["candidate"] = tuple(10 + shift + x + self.random.gauss(0, 0.1) for x in noise)
            place = f"[{scenario}]" if evidence.scenarios else ""
            counted = values if kpi.is_count else {}
            events = {name: tuple(float(round(x)) for x in each) for name, each in counted.items()}
            rows.append(
                PairedMetric(
                    metric=f"{place}.{kpi.name}" if place else kpi.name, values=values, sums=events,
                    exposures={name: (1.0,) * len(each) for name, each in events.items()},
                )
            )  # fmt: skip
            point = self._value(context.plan, f"{context.visit.state}{place}.{kpi.name}", chance)
            measured.append(
                Measurement(metric=kpi.name, value=point, unit=kpi.unit, policy=candidate, scenario=scenario,
                            actions="greedy", seed=0, episodes=looks[-1], exposure=1.0)
            )  # fmt: skip
        table = EvidenceTable(evidence=spec.evidence, candidate=candidate, baselines=baselines, seed=0, looks=looks,
                              metrics=tuple(rows))  # fmt: skip
        digest = context.blobs.put(json.dumps(unstructure(table), sort_keys=True).encode())
        return cls(weights=candidate, measurements=tuple(measured), evidence=digest, looks=len(looks),
                   blobs={"evidence": digest})  # fmt: skip

    def _promote(self, context: TrainingContext, cls: type, numbers: dict, chance: float) -> TrainingResult:
        done = context.visit.effect(context.input("candidate"))
        return cls(
            weights=done.target, alias=done.alias, version=done.version, previous=context.visit.expected_champion
        )

    def _rollback(self, context: TrainingContext, cls: type, numbers: dict, chance: float) -> TrainingResult:
        target = context.inputs.get("accepted") or context.input("clone")
        scale = {
            name: context.visit.scale.get(name, 1.0) * f for name, f in context.options_as(RollbackSpec).scale.items()
        }
        return cls(weights=target, discarded=None, target="accepted", parity=None, scale=scale)


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_fake_strategies_take_every_edge(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each edge of each state is taken by some run, and every run ends or holds; what is played is not the question."""
    monkeypatch.setattr(launch, "check_promises", lambda *_: ())
    plan = PolicyTrainingOrchestrator(path, imports=IMPORTS).plan()
    edges = {(name, edge.to) for name, state in plan.schedule.states.items() for edge in state.next}
    taken: set[tuple[str, str]] = set()
    for attempt in range(150):
        random = Random(f"{path.stem} {attempt}")
        missing = sorted({state for state, _ in edges - taken})
        doubted = missing[attempt % len(missing)]
        if doubted in {"promote", "rollback"}:  # they never fail; what comes before them leads there
            doubted = ("evaluate", "ppo")[attempt % 2]
        fakes: dict[str, TrainingStrategy] = {name: FakeStrategy(name, random, doubted) for name in catalogue().entries}
        summary = PolicyTrainingOrchestrator(
            path, home=tmp_path / str(attempt), strategies=fakes, seed=attempt, imports=IMPORTS
        ).run()
        assert summary.state in {"done", "hold"}, summary.reason
        taken |= {(stage.state, stage.to) for stage in summary.stages}
        if edges <= taken:
            break
    assert edges == taken & edges


@pytest.mark.slow
@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_rehearsal_learns_and_takes_every_look(path: Path, tmp_path: Path) -> None:
    """The policy changes in every visit to ppo, and no look is left out."""
    summary = PolicyTrainingOrchestrator(path, home=tmp_path, imports=IMPORTS).run(rehearse=True)
    results = {stage.state: stage.result for stage in summary.stages}
    assert summary.state in {"done", "hold"}, summary.reason
    assert all(r.approx_kl_p95 > 0 for r in results.values() if isinstance(r, policy.PPOTrainingResult))
    looks = len(PolicyTrainingOrchestrator(path, imports=IMPORTS).plan().schedule.evidence["full"].episodes)
    assert {looks} == {r.looks for r in results.values() if isinstance(r, policy.EvaluationResult)}


@pytest.mark.parametrize("path", sorted((ROOT / "schedules").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_shipped_promotion_ignores_rare_losses(path: Path) -> None:
    """Beside each mean that promotes stands a limit on the share of bad episodes."""
    plan = PolicyTrainingOrchestrator(path, imports=IMPORTS).plan()
    assert [] == list(unguarded_tails(plan))


def test_a_shipped_schedule_has_a_name_and_one_sentence() -> None:
    """The names are those of the files in `schedules`; the sentence is the comment at the top."""
    shipped = {schedule.name: schedule for schedule in shipped_schedules()}

    assert sorted(path.stem for path in (ROOT / "schedules").glob("*.yaml")) == list(shipped)
    assert shipped["quickstart"].summary.startswith("A scripted town becomes a learned one in about a minute")
    assert all("$schema" not in schedule.summary for schedule in shipped.values())


@pytest.mark.parametrize("path", sorted((ROOT / "schedules").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_line_for_editors_leads_to_the_schema(path: Path) -> None:
    """The relative path in the first line is a file of the checkout."""
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).is_file()


def test_a_copy_leads_an_editor_to_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`townlet schedules NAME` prints the file with a first line that works from any folder; a space becomes a URL."""
    assert 0 == run_command(["schedules", "quickstart"])
    first, *lines = capsys.readouterr().out.splitlines()
    assert Path(first.partition("$schema=")[2]).read_bytes() == schema_file().read_bytes()
    assert (ROOT / "schedules" / "quickstart.yaml").read_text("utf-8").splitlines()[1:] == lines
    assert 2 == run_command(["schedules", "quickstrat"])
    assert "did you mean 'quickstart'?" in capsys.readouterr().err
    monkeypatch.setattr(shipped, "_folder", lambda: tmp_path / "my runs" / "schedules")
    assert editor_line().endswith("/my%20runs/docs/reference/schedule.schema.json")


def test_a_path_that_exists_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file `quickstart` is taken; a folder of that name cannot be a schedule."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    (shipped,) = [schedule.path for schedule in shipped_schedules() if schedule.name == "quickstart"]
    assert shipped == find_schedule("quickstart")

    (tmp_path / "quickstart").rmdir()
    (tmp_path / "quickstart").write_text("schedule: townlet/v1")
    assert Path("quickstart") == find_schedule("quickstart")


@pytest.mark.parametrize("word", ["absent.yaml", "folder/absent", "/absent"])
def test_what_can_only_be_a_path_is_returned_as_it_is(word: str) -> None:
    """Whoever opens it reports that it does not exist."""
    assert Path(word) == find_schedule(word)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """One sentence: what was looked for, and the name that was meant."""
    with pytest.raises(BadInputError, match=r"unknown schedule 'small-town'.*did you mean 'small_town'"):
        find_schedule("small-town")
