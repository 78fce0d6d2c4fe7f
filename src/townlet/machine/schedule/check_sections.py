"""Check the sections of a schedule: names, evidence, baselines, policies, options and budget."""

import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs

from townlet.dto.codec import Problem, Record
from townlet.dto.schedule import BUILT_IN_STATES, BaselineSpec, EvidenceSpec
from townlet.dto.strategies import REFERENCE
from townlet.errors import BadInputError
from townlet.estimate import MIN_PAIRS
from townlet.machine.schedule.check_guards import check_guards
from townlet.machine.schedule.check_teacher import check_teacher
from townlet.machine.schedule.partial import PartialSchedule, unknown_name
from townlet.ports import TRACKERS
from townlet.store.path_text import local_path
from townlet.store.registry.ssh_signatures import read_signers
from townlet.store.untrusted import read_regular

__all__ = ["NAME", "RESERVED", "check", "check_policies", "check_signers"]

_MOST = 64 * 2**20
"""Bytes of a weights file."""

NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
"""Pattern of a name in a section."""
WEIGHTS = frozenset({"clone", "champion", "candidate"})
"""Words for weights that every option which names some understands."""
RESERVED = {
    "policies": WEIGHTS | {"fresh", "teacher", "accepted", "parent"},
    "states": frozenset(BUILT_IN_STATES),
    "baselines": frozenset({"candidate"}),
}


def check(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the problems of a schedule's sections, its graph aside."""
    yield from _check_names(partial)
    yield from check_teacher(partial)
    for name, evidence in partial.evidence.items():
        if evidence:
            yield from _check_evidence(name, evidence)
    for name, baseline in partial.baselines.items():
        if baseline:
            yield from _check_baseline(partial, name, baseline)
    yield from check_guards(partial)
    for name, state in partial.states.items():
        if state.options:
            yield from _check_options(partial, state.options, ("states", name, "with"))
    yield from _check_budget(partial)
    yield from _check_trackers(partial)


def check_policies(partial: PartialSchedule, folder: Path) -> Iterator[Problem]:
    """Yield the weights from outside that are missing or have another digest; paths are relative to `folder`."""
    for name, policy in partial.policies.items():
        if policy is None or policy.file is None:
            continue
        try:
            digest = sha256(read_regular(folder / local_path(policy.file), _MOST)).hexdigest()
        except BadInputError as error:
            yield Problem(("policies", name, "file"), f"cannot read {policy.file!r} next to the schedule: {error}")
            continue
        if digest != policy.sha256:
            yield Problem(
                ("policies", name, "sha256"),
                f"{policy.file!r} has another digest: found {digest}; not the file that was meant",
            )


def check_signers(partial: PartialSchedule, folder: Path) -> Iterator[Problem]:
    """Yield why the keys that must sign a promotion cannot be read; their path is relative to `folder`."""
    if partial.registry is None or partial.registry.signers is None:
        return
    name = partial.registry.signers
    try:
        read_signers(read_regular(folder / local_path(name), 2**20), name)
    except BadInputError as error:
        yield Problem(("registry", "signers"), f"cannot read {name!r} next to the schedule: {error}")


def _check_names(partial: PartialSchedule) -> Iterator[Problem]:
    sections = {
        "states": partial.states,
        "guards": partial.guards,
        "evidence": partial.evidence,
        "baselines": partial.baselines,
        "policies": partial.policies,
    }
    for section, entries in sections.items():
        for name in entries:
            if not re.fullmatch(NAME, name, re.ASCII):
                yield Problem(
                    (section, name),
                    "expected a name that begins with a letter and goes on with letters, "
                    f"digits, '_' and '-', found {name!r}",
                    key=True,
                )
            elif name in RESERVED.get(section, ()):
                yield Problem((section, name), f"{name!r} has a meaning of its own here; choose another name", key=True)


def _check_budget(partial: PartialSchedule) -> Iterator[Problem]:
    budget = partial.budget
    for name in ("wall_clock", "disk") if budget else ():
        if getattr(budget, name) == 0:
            yield Problem(("budget", name), "expected more than 0; leave it out for no bound")


def _check_evidence(name: str, evidence: EvidenceSpec) -> Iterator[Problem]:
    if evidence.episodes[0] < MIN_PAIRS:
        yield Problem(
            ("evidence", name, "episodes"),
            f"expected at least {MIN_PAIRS} pairs at the first look, "
            f"found {evidence.episodes[0]}: fewer decide nothing",
        )
    for index, scenario in enumerate(evidence.scenarios):
        if scenario in evidence.scenarios[:index]:
            yield Problem(("evidence", name, "scenarios", index), f"scenario {scenario!r} stands here twice")


def _check_baseline(partial: PartialSchedule, name: str, baseline: BaselineSpec) -> Iterator[Problem]:
    here = ("baselines", name)
    if baseline.of is not None:
        if name not in ("parent", "accepted"):
            yield Problem(
                (*here, "of"),
                f"a baseline with of: is called 'parent' (what a visit started from) or 'accepted' "
                f"(the best earlier one), found {name!r}",
            )
        trained = partial.states_that(lambda strategy: strategy.fine_tunes)
        if baseline.of not in partial.states:
            yield unknown_name("state", baseline.of, trained or partial.states, (*here, "of"))
        elif partial.states[baseline.of].strategy and baseline.of not in trained:
            yield Problem(
                (*here, "of"), f"state {baseline.of!r} fine-tunes no weights; expected one that does, such as ppo"
            )
    elif name in ("parent", "accepted"):
        yield Problem(here, f"{name!r} is the baseline of a state; expected of: STATE", key=True)
    if baseline.policy is not None and baseline.policy != "teacher" and baseline.policy not in partial.policies:
        yield unknown_name("policy", baseline.policy, ("teacher", *partial.policies), (*here, "policy"))
    if name == "teacher" and (baseline.policy is None or baseline.policy in partial.policies):
        yield Problem(here, "a baseline called 'teacher' must be {policy: teacher}", key=True)
    if baseline.data is not None and baseline.data.minari is None:
        yield Problem((*here, "data"), "expected a data set of Minari: {minari: NAME, sha256: DIGEST}")
    yield from _check_fallback(partial, name, baseline)


def _check_fallback(partial: PartialSchedule, name: str, baseline: BaselineSpec) -> Iterator[Problem]:
    here, path, after = ("baselines", name, "otherwise"), [name], baseline.otherwise
    if after is not None and after != "teacher" and after not in partial.baselines:
        yield unknown_name("baseline", after, ("teacher", *partial.baselines), here)
    while after is not None and after in partial.baselines:
        path.append(after)
        if after in path[:-1]:
            if after == name and name == min(path):  # a cycle is reported once, at its first name
                yield Problem(here, f"otherwise leads back to itself: {' → '.join(path)}")
            return
        following = partial.baselines[after]
        after = following.otherwise if following else None


def _check_options(partial: PartialSchedule, options: Any, here: tuple[str, ...]) -> Iterator[Problem]:
    """Yield the options of a `with:` block that name what does not exist."""
    for field in attrs.fields(type(options)):
        value, path = getattr(options, field.name), (*here, field.name)
        if isinstance(value, Record):
            yield from _check_options(partial, value, path)
            continue
        reference = field.metadata.get(REFERENCE)
        if reference is None or value is None:
            continue
        if reference.to == "options":
            for key, factor in value.items():
                yield from _check_scale(partial, key, factor, (*path, key))
            continue
        named = partial.evidence if reference.to == "evidence" else {*WEIGHTS, *reference.also, *partial.policies}
        if value not in named:
            yield unknown_name(reference.to, value, named, path)


def _check_trackers(partial: PartialSchedule) -> Iterator[Problem]:
    named = partial.data.get("trackers") if isinstance(partial.data, dict) else None
    if not isinstance(named, dict) or not named:  # a look at all installed packages takes 5 ms
        return
    registered = entry_points(group=TRACKERS).names
    for name in named:
        if name not in registered:
            yield attrs.evolve(unknown_name("tracker", str(name), sorted(registered), ("trackers", name)), key=True)


def _check_scale(partial: PartialSchedule, key: str, factor: float, path: tuple[str, ...]) -> Iterator[Problem]:
    of, dot, name = key.partition(".")
    state = partial.states.get(of)
    if not dot or state is None:
        yield attrs.evolve(unknown_name("state", of, partial.states, path), key=True)
        return
    if factor <= 0:
        yield Problem(path, f"expected a factor above 0, found {factor}")
    if state.strategy is None or state.options is None:
        return
    fields = attrs.fields_dict(type(state.options))
    if name not in fields:
        yield attrs.evolve(unknown_name(f"option of {of}", name, fields, path), key=True)
    elif name not in state.strategy.scalable_options or getattr(state.options, name) is None:
        allowed = ", ".join(sorted(state.strategy.scalable_options)) or "none"
        yield Problem(path, f"{key} cannot be scaled; expected an option of {of} with decimals: {allowed}", key=True)
