"""Probe an environment, and a teacher in it, in some seconds: what a user wants to know before the first schedule."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from townlet.dto.environment_probe import EnvironmentProbe, ProbeRow
from townlet.dto.environment_report import EnvironmentReport
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.call_record import CallRecord, RecordableWorlds
from townlet.estimate import paired, paired_bounds
from townlet.numerals import number
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.sample_play import Choice, SamplePlay, random_choice
from townlet.ports import (
    Environment,
    EnvironmentDescription,
    EnvironmentProvider,
    begin_episodes,
    close,
    teacher_actions,
)
from townlet.testing import check_environment

__all__ = ["probe_environment"]

_SEED = 1
_WORLDS, _RECORDED_WORLDS = 32, 8
_SECONDS, _RECORDED_SECONDS, _CHECK_SECONDS = 5.0, 2.0, 10.0
_LENGTH = 1_000
"""Decisions of an episode that nothing limits."""
_NAMED = 6
"""Features, infos or heads that a cell names."""
_ALPHA = 0.025
_SLOW = 5_000
"""Decisions in a second, below which worker processes pay: 200 µs a decision."""
_SUCCESS = ("is_success", "success")


def probe_environment(spec: EnvironmentSpec, teacher: str | None, source: EnvironmentSource) -> EnvironmentProbe:
    """Play an environment at random and with a teacher, and return what was found, with advice.

    It takes some 20 seconds at most, however slow a decision is. BadInputError where there is no such environment or
    teacher, or where no policy can play it.
    """
    environments = source.provider(spec) if teacher is None else source.with_teacher(spec, teacher)
    probe = _Probe(environments=environments, description=environments.describe(spec.scenario), teacher=teacher)
    report = check_environment(source.provider(spec), spec.scenario, seconds=_CHECK_SECONDS)
    return EnvironmentProbe(
        environment=spec.id,
        scenario=spec.scenario,
        teacher=teacher,
        rows=(*probe.spaces(), *_promises(report), *probe.calls(), *probe.plays()),
        report=report,
    )


def _promises(report: EnvironmentReport) -> Iterator[ProbeRow]:
    """Yield whether the seed is obeyed, and each promise that is not kept."""
    outcomes = {each.promise: each for each in report.promises}
    if not report.obeys_seed:
        yield ProbeRow(
            what="seeds",
            found="equal seeds and actions do not give equal episodes",
            advice="draw from self.np_random only: evidence is unpaired now, and nothing is resumable",
        )
    elif outcomes["seeds"].outcome == "kept":
        yield ProbeRow(what="seeds", found="equal seeds give equal episodes, other seeds give others")
    for each in (*report.refusals, *report.reservations):
        refused = "a run refuses the environment: " if each in report.refusals else ""
        yield ProbeRow(
            what=each.promise, found=f"{each.outcome}: {each.where}: {each.found}", advice=f"{refused}{each.expected}"
        )


@frozen(kw_only=True)
class _Probe:
    """Looks at an environment, thing by thing."""

    environments: EnvironmentProvider
    description: EnvironmentDescription
    teacher: str | None

    def spaces(self) -> Iterator[ProbeRow]:
        """Yield what the description says."""
        about, per_day = self.description, self.description.decisions_per_day
        yield ProbeRow(what="features", found=f"{len(about.features)}: {_listed(about.features)}")
        yield self._actions()
        if about.agents > 1:
            yield ProbeRow(what="agents", found=f"{about.agents} a world, played by one policy")
        limit = self.description.max_steps
        if limit is None and per_day is None:
            yield ProbeRow(
                what="limit", found="none", advice=f"set environment: {{max_steps: …}}; {_LENGTH:,} are played here"
            )
        else:
            found = f"{per_day} decisions a day" if limit is None else f"{limit:,} decisions an episode"
            yield ProbeRow(what="limit", found=found)
        yield ProbeRow(
            what="discount",
            found=f"{about.discount:g} a decision",
            advice=f"looks {1 / (1 - about.discount):,.0f} decisions ahead; longer effects need a larger gamma",
        )

    def _actions(self) -> ProbeRow:
        spec = self.description.actions
        choices = [f"{head.name or 'one choice'} of {len(head.options)}" for head in spec.discrete]
        numbers = [
            f"{head.name} {'−∞' if head.low is None else number(head.low)} to "
            f"{'∞' if head.high is None else number(head.high)}{' (whole)' if head.integer else ''}"
            for head in spec.box
        ]
        is_open = any(head.low is None or head.high is None for head in spec.box)
        advice = "numbers without bounds begin near 0 ± 1: give the space bounds" if is_open else ""
        return ProbeRow(what="actions", found=_listed((*choices, *numbers)), advice=advice)

    def calls(self) -> Iterator[ProbeRow]:
        """Yield what the calls of another library's environment do beside their answers."""
        environment, record = self._make(_RECORDED_WORLDS), CallRecord()
        if not isinstance(environment, RecordableWorlds):
            close(environment)
            return
        environment.record_calls(record)
        self._play(environment, random_choice(environment), _RECORDED_SECONDS)
        success = [key for key in record.info_ranges if key in _SUCCESS]
        others = {key: span for key, span in record.info_ranges.items() if key not in success}
        spans = [f"{key} ({number(low)} to {number(high)})" for key, (low, high) in others.items()]
        key = next(iter(others), "")
        yield ProbeRow(
            what="infos",
            found=_listed(spans) or "no numbers",
            advice=f"a KPI of it: metrics: {{{key}: {{info: {key}, direction: lower}}}}" if others else "",
        )
        yield ProbeRow(
            what="success",
            found=f"infos say {success[0]}" if success else "no info says is_success or success",
            advice="" if success else "say it in the last info where an episode can succeed: it becomes a KPI",
        )
        yield from _side_effects(record)

    def plays(self) -> Iterator[ProbeRow]:
        """Yield what is seen in random play, and what the teacher does beside it."""
        environment = self._make(_WORLDS)
        chance = self._play(environment, random_choice(environment), _SECONDS)
        yield from _random_play(chance, self.description)
        returns, objective = chance.returns(), self.description.objective
        yield ProbeRow(what="random play", found=f"{objective} {_summary(returns)}")
        if self.teacher is None:
            advice = f"it has {', '.join(self.description.teachers)}: " if self.description.teachers else ""
            yield ProbeRow(what="teacher", found="none", advice=f"{advice}name one with --teacher")
            return
        script, spec = self.environments.teacher(self.description.scenario, self.teacher), self.description.actions
        environment = self._make(_WORLDS)
        begin_episodes(script, np.ones(environment.worlds, np.bool_))
        taught = self._play(environment, lambda seen, _: teacher_actions(script, seen, spec), _SECONDS)
        own = taught.returns()
        if taught.fault:
            yield ProbeRow(what="teacher", found=taught.fault, advice="mend the function")
            return
        illegal = f"{taught.illegal:,} choices are forbidden by the mask: ask for mask=" if taught.illegal else ""
        yield ProbeRow(what="teacher", found=f"{objective} {_summary(own)}", advice=illegal or _compared(own, returns))

    def _make(self, worlds: int) -> Environment:
        about = self.description
        count = min(worlds, about.most_worlds or worlds)
        return self.environments.make(about.scenario, worlds=count, seed=_SEED, max_steps=self._length)

    @property
    def _length(self) -> int:
        about = self.description
        return about.episode_length(1, None if about.decisions_per_day or about.max_steps else _LENGTH)

    def _play(self, environment: Environment, choose: Choice, seconds: float) -> SamplePlay:
        play = SamplePlay(environment=environment, max_steps=self._length, seconds=seconds).play(choose)
        close(environment)
        return play


def _side_effects(record: CallRecord) -> Iterator[ProbeRow]:
    """Yield what an environment should leave alone."""
    if record.rewritten:
        yield ProbeRow(
            what="arrays",
            found=f"{record.rewritten} is written into after it was returned",
            advice="harmless here, where it is copied; return a copy for other programs",
        )
    if record.changed_random_state:
        yield ProbeRow(
            what="global state",
            found=f"numpy's global generator changed in {record.changed_random_state} of {record.calls} calls",
            advice="draw from self.np_random; a controller that draws from the global one is changed too",
        )
    if record.printed:
        yield ProbeRow(what="output", found=f"prints {record.printed[:60]!r}", advice="leave stdout to the program")
    if record.warned:
        yield ProbeRow(what="warnings", found=record.warned[:120], advice="see whether it is meant")


def _random_play(play: SamplePlay, about: EnvironmentDescription) -> Iterator[ProbeRow]:
    """Yield what can be seen in random play."""
    if play.fault:
        yield ProbeRow(what="play", found=play.fault, advice="mend the environment")
    over, lengths = int(play.over.sum()), play.lengths
    yield ProbeRow(
        what="ends",
        found=f"{play.terminations:,} terminations and {play.truncations:,} truncations in {len(play.over)} episodes "
        f"of {lengths.min():,} to {lengths.max():,} decisions, {over} of them played to their end",
        advice="" if play.terminations or not over else "lives end by the limit only: let a goal or a fall terminate",
    )
    if about.actions.discrete:
        advice = "" if play.legal < 1 else 'masks are read from infos["action_mask"] or a method action_masks()'
        yield ProbeRow(what="masks", found=f"{play.legal:.0%} of the options are legal", advice=advice)
    rewards = np.concatenate(play.rewards) if play.rewards else np.zeros(1, np.float32)
    silent = "random play is never paid: only demonstrations lead to a reward" if not rewards.any() else ""
    yield ProbeRow(
        what="rewards",
        found=f"{number(float(rewards.min()))} to {number(float(rewards.max()))}, {(rewards != 0).mean():.0%} not 0",
        advice=silent,
    )
    constant = [name for name, low, high in zip(about.features, play.low, play.high, strict=True) if low >= high]
    if constant and not play.fault:
        yield ProbeRow(
            what="constant features",
            found=f"{len(constant)} of {len(about.features)}: {_listed(constant)}",
            advice="they tell a policy nothing, unless they change later",
        )
    is_slow = play.rate < _SLOW
    yield ProbeRow(
        what="speed",
        found=f"{play.rate:,.0f} decisions a second in one process",
        advice="environment: {workers: 2} may pay" if is_slow else "",
    )


def _compared(own: tuple[float | None, ...], others: tuple[float | None, ...]) -> str:
    """Return in words whether a teacher beats random play in the same episodes."""
    pairs = [(one, other) for one, other in zip(own, others, strict=True) if one is not None and other is not None]
    if len(pairs) < 2:
        return "too few whole episodes to compare it with random play"
    low, high = paired_bounds([one for one, _ in pairs], [other for _, other in pairs], _ALPHA)
    if low > 0:
        return f"better than random play by {number(low)} to {number(high)}"
    verdict = "worse than" if high < 0 else "not better than"
    return f"{verdict} random play ({number(low)} to {number(high)}): is it worth cloning?"


def _summary(values: tuple[float | None, ...]) -> str:
    whole = [value for value in values if value is not None]
    if not whole:
        return f"is not known: none of {len(values)} episodes was over in time"
    sample = paired(whole)
    return f"{number(sample.mean)} ± {number(sample.sd)} (mean ± sd of {sample.n} episodes)"


def _listed(names: "tuple[str, ...] | list[str]") -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
