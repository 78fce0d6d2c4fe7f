"""Scripts as teachers: functions and controllers that know the environment's own observations and actions."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from inspect import Parameter, isclass, signature
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import Script, is_batched
from townlet.rng import mix

if TYPE_CHECKING:
    from townlet.layouts import ActionLayout, ObservationLayout

__all__ = ["ScriptTeacher"]

_WORDS = ("mask", "rng", "world", "agent")
_WORDS_OF_A_BATCH = ("mask", "keys")


@define(kw_only=True)
class ScriptTeacher:
    """Asks a script `observation -> action` for each living agent, or, where it is batched, for all at once.

    A script may name further parameters: `mask` (the options that are legal), `rng` (a generator of its own for each
    world and decision), `world` and `agent` (their numbers); a batched one `mask` [W, A] and `keys` [W]. A controller
    with a method `reset` keeps a state: each world and slot has a copy of its own, reset where an episode begins.
    """

    script: Script
    """A function, a callable object, or a class of such objects."""
    observations: "ObservationLayout"
    """How an observation is made of features."""
    actions: "ActionLayout"
    """How columns are made of an action."""
    agents: tuple[str, ...] = ()
    """Names of the slots, where the environment has names; `agent` is then a name."""
    _copies: dict[tuple[int, int], Script] = field(factory=dict, init=False)
    _words: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        words = _WORDS_OF_A_BATCH if is_batched(self.script) else _WORDS
        call = _instance(self.script) if isclass(self.script) else self.script
        parameters = _parameters(call)
        wrong = [
            name
            for name, parameter in list((parameters or {}).items())[1:]
            if parameter.default is Parameter.empty and _is_named(parameter) and name not in words
        ]
        if wrong or (parameters is not None and not any(_is_positional(each) for each in parameters.values())):
            raise BadInputError(
                f"teacher {self.name}: cannot be called with an observation"
                f"{f' and without {wrong[0]!r}' if wrong else ''}; expected parameters (observation), and of "
                f"{', '.join(words)} those that it needs"
            )
        self._words = tuple(word for word in words if word in (parameters or {}))

    @property
    def name(self) -> str:
        """Name of the script in messages."""
        return str(getattr(self.script, "__name__", type(self.script).__name__))

    @property
    def keeps_state(self) -> bool:
        """Whether the script has a method `reset`."""
        return callable(getattr(self.script, "reset", None))

    def begin(self, worlds: NDArray[np.bool_]) -> None:
        """Reset the controllers of the worlds [W] whose episodes begin."""
        if not self.keeps_state:
            return
        if is_batched(self.script):
            _reset(self._copy(0, 0), worlds)
            return
        for world, agent in list(self._copies):
            if world < len(worlds) and worlds[world]:
                del self._copies[world, agent]  # the next decision makes a new one

    def act(self, observations: ObservationBatchDTO) -> Actions:
        """Return actions [W, N, C]; EnvironmentFaultError where the script returns no action of the space."""
        spec = self.actions.spec
        actions = np.zeros((*observations.alive.shape, spec.columns), spec.dtype)
        if is_batched(self.script):
            self._act_at_once(observations, actions)
            return actions
        for w, n in np.argwhere(observations.alive).tolist():
            own = self.observations.unflatten(observations.observations[w, n])
            chosen = self._ask(self._copy(w, n), own, self._named(observations, w, n))
            try:
                actions[w, n] = self.actions.from_native(chosen)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise self._fault(chosen, error) from error
        return actions

    def _act_at_once(self, observations: ObservationBatchDTO, actions: Actions) -> None:
        worlds, slots = np.nonzero(observations.alive)
        if not len(worlds):
            return
        given: dict[str, Any] = {"mask": observations.action_mask[worlds, slots], "keys": observations.keys[worlds]}
        own = self.observations.unflatten_rows(observations.observations[worlds, slots])
        chosen = self._ask(self._copy(0, 0), own, {word: given[word] for word in self._words})
        try:
            actions[worlds, slots] = self.actions.from_native_rows(chosen, len(worlds))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise self._fault(chosen, error) from error

    def _ask(self, script: Script, observation: Any, named: Mapping[str, Any]) -> Any:
        try:
            return script(observation, **named)
        except Exception as error:  # the script is the user's
            raise EnvironmentFaultError(
                f"teacher {self.name}: raised {type(error).__name__}: {error}; its observation is "
                f"{str(observation)[:200]}"
            ) from error

    def _named(self, observations: ObservationBatchDTO, w: int, n: int) -> dict[str, Any]:
        """Return the arguments that the script names, of slot n of world w."""
        values: dict[str, Callable[[], Any]] = {
            "mask": lambda: observations.action_mask[w, n],
            "rng": lambda: np.random.default_rng(int(mix(observations.keys[w], np.uint64(n)))),
            "world": lambda: w,
            "agent": lambda: self.agents[n] if self.agents else n,
        }
        return {word: values[word]() for word in self._words}

    def _copy(self, w: int, n: int) -> Script:
        """Return the controller of slot n of world w, reset where it is new; a function has no copies."""
        if not self.keeps_state:
            return self.script
        if (w, n) not in self._copies:
            self._copies[w, n] = _instance(self.script) if isclass(self.script) else deepcopy(self.script)
            if not is_batched(self.script):
                _reset(self._copies[w, n], w)
        return self._copies[w, n]

    def _fault(self, chosen: Any, error: Exception) -> EnvironmentFaultError:
        rows = "a batch of actions" if is_batched(self.script) else "an action"
        return EnvironmentFaultError(
            f"teacher {self.name}: returned {str(chosen)[:200]!r}; expected {rows} of {self.actions} ({error})"
        )


def _instance(script: Any) -> Script:
    try:
        made: Any = script()
    except TypeError as error:
        raise BadInputError(
            f"teacher {script.__name__}: the class cannot be called without arguments: {error}"
        ) from error
    if not callable(made):
        raise BadInputError(f"teacher {script.__name__}: give the class a method __call__(self, observation)")
    return made  # type: ignore[no-any-return]


def _reset(script: Any, worlds: Any) -> None:
    """Call `reset`, with the world or the mask of worlds where it takes one."""
    takes_worlds = any(_is_positional(each) for each in (_parameters(script.reset) or {}).values())
    script.reset(worlds) if takes_worlds else script.reset()


def _parameters(call: Any) -> Mapping[str, Parameter] | None:
    """Return the parameters of a call; None where it is not written in Python: its first call tells."""
    try:
        return signature(call).parameters
    except (TypeError, ValueError):
        return None


def _is_named(parameter: Parameter) -> bool:
    return parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _is_positional(parameter: Parameter) -> bool:
    return parameter.kind in (
        Parameter.POSITIONAL_ONLY,
        Parameter.POSITIONAL_OR_KEYWORD,
        Parameter.VAR_POSITIONAL,
    )
