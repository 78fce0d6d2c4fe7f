"""Modes: which states of a schedule run, and which of their options the flags replace.

A mode keeps the named states' `with` and replaces all edges by a chain to done. It is a smaller machine for the same
engine, never a second code path.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import evolve, frozen

from townlet.dto.schedule import EdgeSpec, ScheduleSpec, StateSpec
from townlet.dto.strategies import IGNORED, BCSpec, CaptureSpec, DataSpec, Ignored, PPOSpec, ReplaySpec
from townlet.dto.train import TrainRequest
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.data.demonstrations import demonstrations_of_samples
from townlet.policy.data.imported import data_spec, open_dataset
from townlet.policy.data.samples import samples_to_trajectories
from townlet.ports import EnvironmentDescription
from townlet.store.manifest import manifest_of

__all__ = ["check_request", "requested_schedule"]

_DONE = "done"
_SPECS = {"capture": CaptureSpec, "replay": ReplaySpec, "bc": BCSpec, "ppo": PPOSpec}
_CONFLICTS = (
    ("capture_dir", "replay_manifest"),
    ("capture_dir", "replay_sample"),
    ("replay_manifest", "replay_sample"),
    ("ppo_mini_batch_size", "ppo_num_mini_batches"),
    ("ppo_normalize_advantages", "ppo_no_normalize_advantages"),
)
_DATA = ("mode", "replay_manifest", "capture_dir", "device")
_OF_CAPTURE = ("rollout_ticks", "rollout_save_dir")
_OF_LOG = ("ppo_log_frequency", "ppo_log_max_entries")
_POSITIVE = ("rollout_ticks", "epochs", "replay_batch_size", "ppo_log_frequency", "ppo_log_max_entries")


@frozen(kw_only=True)
class Data:
    """The data sets a request names, as they are now."""

    replay: DataSpec | None = None
    """To be summarised."""
    demonstrations: DataSpec | None = None
    """To be cloned."""


def check_request(request: TrainRequest) -> None:
    """Raise BadInputError for flags that contradict each other or are too small.

    Also for flags that the mode has no use for.
    """
    for complaint in (*_misplaced(request), *_contradictions(request), *_small(request)):
        raise BadInputError(complaint)


def _misplaced(request: TrainRequest) -> Iterator[str]:
    for name in request.given():
        flag, modes = request.flag(name), request.modes(name)
        if request.mode not in modes:
            yield f"{flag} means nothing in --mode {request.mode}; it belongs to {', '.join(modes)}"
        trains = {"ppo", "replay"} <= {*modes} and name not in _DATA
        if trains and request.mode == "replay" and not request.train_ppo:
            yield f"{flag} is about training, but --train-ppo is not given"
        if name in _OF_CAPTURE and request.bc_manifest is not None:
            yield f"--bc-manifest captures nothing, so {flag} means nothing beside it"
        if name in _OF_LOG and request.ppo_log is None and request.anneal_log_dir is None:
            yield f"{flag} says how to write a log; name one with --ppo-log"
    if request.replay_meta is not None and request.replay_sample is None:
        yield "--replay-meta belongs to --replay-sample"


def _contradictions(request: TrainRequest) -> Iterator[str]:
    given = request.given()
    for one, other in _CONFLICTS:
        if one in given and other in given:
            yield f"{request.flag(one)} and {request.flag(other)} contradict each other; give one of them"


def _small(request: TrainRequest) -> Iterator[str]:
    numbers = attrs.asdict(request)
    for name in _POSITIVE:
        if numbers[name] is not None and numbers[name] < 1:
            yield f"{request.flag(name)} is {numbers[name]}; expected at least 1"


def requested_schedule(
    request: TrainRequest,
    schedule: ScheduleSpec,
    description: EnvironmentDescription,
    strategies: StrategyCatalogue,
) -> ScheduleSpec:
    """Return the schedule of the states a request asks for; `schedule` itself where it asks for all, unchanged.

    BadInputError naming what is unfit in the data sets of the request, every sample of which is read.
    """
    return machine_of(schedule, request, find_data(request, description), strategies)


def find_data(request: TrainRequest, description: EnvironmentDescription) -> Data:
    """Return the data sets a request names, every sample read and checked; BadInputError naming what is unfit."""
    replay = demonstrations = None
    if request.capture_dir is not None:
        replay = data_spec(manifest=manifest_of(Path(request.capture_dir)))
    elif request.replay_manifest is not None:
        replay = data_spec(manifest=Path(request.replay_manifest))
    elif request.replay_sample is not None:
        meta = None if request.replay_meta is None else Path(request.replay_meta)
        replay = data_spec(sample=Path(request.replay_sample), meta=meta)
    elif request.mode in ("replay", "mixed"):
        raise BadInputError(
            f"--mode {request.mode} needs a data set: --replay-manifest, --capture-dir or --replay-sample"
        )
    if request.bc_manifest is not None:
        demonstrations = data_spec(manifest=Path(request.bc_manifest))
        demonstrations_of_samples(tuple(open_dataset(demonstrations).samples(accepted=True)), description)
    if replay is not None:
        dataset = open_dataset(replay)
        if request.train_ppo or request.mode == "ppo":
            samples_to_trajectories(tuple(dataset.samples(accepted=True)), description)
    return Data(replay=replay, demonstrations=demonstrations)


def machine_of(
    schedule: ScheduleSpec, request: TrainRequest, data: Data, strategies: StrategyCatalogue
) -> ScheduleSpec:
    """Return the machine of a request; the schedule itself where it asks for all of it and changes nothing."""
    options = _options(request, strategies)
    if request.mode == "anneal":
        states = {
            name: _with(state, options.get(state.strategy, {})) if state.strategy in options else state
            for name, state in schedule.states.items()
        }
        return evolve(schedule, states=states) if options else schedule
    mode_schedule = ModeSchedule(schedule=schedule, request=request, data=data, options=options)
    return _chained(schedule, mode_schedule.states())


def _options(request: TrainRequest, strategies: StrategyCatalogue) -> dict[str, dict[str, Any]]:
    """Return what the flags say of each strategy's options; the device goes to every strategy that declares one."""
    options: dict[str, dict[str, Any]] = {}
    numbers = attrs.asdict(request)
    for entry in strategies.entries.values():
        if request.device is not None and entry.device_option:
            options[entry.name] = {entry.device_option: request.device}
    for name in request.given():
        option = request.option(name)
        if option is not None and name != "device":
            named, field = option
            value = name == "ppo_normalize_advantages" if field == "norm_adv" else numbers[name]
            for strategy in named.split(", "):
                options.setdefault(strategy, {})[field] = value
    return options


def _with(state: StateSpec, more: Mapping[str, Any]) -> StateSpec:
    """Return a state with further options; those of the schedule that have no effect beside them are left out."""
    spec = _SPECS.get(state.strategy)
    return evolve(state, with_={**state.with_, **more} if spec is None else _with_effect(state.with_, spec, more))


def _with_effect(options: Mapping[str, Any], spec: type, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return written options with `wanted` in their place, without those that `wanted` leaves no effect.

    An option that would itself take the place of a wanted one is left out too.
    """
    merged = {**options, **wanted}
    for field in attrs.fields(spec):
        ignored: Ignored | None = field.metadata.get(IGNORED)
        if ignored is None or field.name not in merged:
            continue
        if not ignored.holds(merged.get(ignored.option, attrs.fields_dict(spec)[ignored.option].default)):
            continue
        loser = ignored.option if field.name in wanted and ignored.option not in wanted else field.name
        merged.pop(loser, None)
    return merged


def _chained(schedule: ScheduleSpec, states: Mapping[str, StateSpec]) -> ScheduleSpec:
    """Return the schedule whose states follow each other to done; nothing is judged, so no guard is kept."""
    names = [*states, _DONE]
    return evolve(
        schedule,
        initial=names[0],
        guards={},
        baselines={},
        states={
            name: evolve(state, next=(EdgeSpec(to=to, why=f"--mode chain to {to}"),))
            for (name, state), to in zip(states.items(), names[1:], strict=True)
        },
    )


@frozen(kw_only=True)
class ModeSchedule:
    """Builds the states of a mode, in order."""

    schedule: ScheduleSpec
    request: TrainRequest
    data: Data
    options: Mapping[str, Mapping[str, Any]]

    def states(self) -> dict[str, StateSpec]:
        """Return the states of the mode, in order."""
        builders = {
            "bc": self.bc,
            "capture": lambda: {"capture": self.state("capture")},
            "rollout": self.rollout,
            "replay": self.replay,
            "mixed": lambda: self.replay() | self.rollout(),
            "ppo": self.ppo if self.data.replay is None else self.replay,
        }
        return builders[self.request.mode]()

    def ppo(self) -> dict[str, StateSpec]:
        return {"ppo": self.state("ppo", start_from=self.start())}

    def state(self, strategy: str, **more: Any) -> StateSpec:
        """Return the first state that runs a strategy, with the flags' options and `more`."""
        named = next((state for state in self.schedule.states.values() if state.strategy == strategy), None)
        if named is None and strategy in ("bc", "ppo"):
            raise BadInputError(
                f"{self.schedule.name}: no state runs {strategy}, which --mode {self.request.mode} needs"
            )
        plain = named or StateSpec(strategy=strategy, next=())
        return _with(plain, {**self.options.get(strategy, {}), **more})

    def start(self) -> str:
        """Return the weights ppo begins with: without a bc state there is no clone, so it starts fresh."""
        start_from = self.state("ppo").with_.get("start_from", "clone")
        return "fresh" if start_from in ("clone", "candidate") else str(start_from)

    def bc(self) -> dict[str, StateSpec]:
        if self.data.demonstrations is None:
            return {"capture": self.state("capture"), "bc": self.state("bc")}
        return {"bc": self.state("bc", data=self.data.demonstrations.model_dump())}

    def rollout(self) -> dict[str, StateSpec]:
        """Return capture of the learner's own play, which is the first epoch's data, and ppo."""
        later = self.request.mode == "mixed" and self.request.train_ppo
        ppo = self.state("ppo")
        hidden = {"hidden_sizes": ppo.with_["hidden_sizes"]} if "hidden_sizes" in ppo.with_ else {}
        player = "candidate" if later else self.start()
        return {
            "capture": self.state("capture", player=player, **hidden),
            "ppo": _with(ppo, {"start_from": "candidate", "experience": "recorded_first"}),
        }

    def replay(self) -> dict[str, StateSpec]:
        assert self.data.replay is not None, "find_data refuses a replay without a data set"
        train = self.request.train_ppo or self.request.mode == "ppo"
        states = {"replay": self.state("replay", data=self.data.replay.model_dump(), train=train)}
        if train:
            iterations = self.request.epochs or 1
            more = {"start_from": self.start(), "experience": "recorded", "iterations": iterations}
            states["ppo_on_replay"] = self.state("ppo", **more)
        return states
