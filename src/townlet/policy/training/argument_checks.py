"""Name a wrong object that was passed from Python: what it is, and what to pass instead."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path, PurePath
from typing import Any, cast

from townlet.dto.codec import CodecError, structure
from townlet.dto.fields import Direction
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.problems import short_repr
from townlet.env.python_factory import PythonProvider
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.machine.schedule.overrides import Override
from townlet.ports import ENVIRONMENTS, Environment, EnvironmentProvider, Script, ScriptableProvider, Teacher, provider

__all__ = [
    "as_environment",
    "as_metrics",
    "as_overrides",
    "as_path",
    "as_teacher",
    "kind_of",
    "require_callable",
    "require_imports",
    "require_mapping",
    "require_text",
    "teacher_maker",
]

_PROVIDER = "an object with the methods describe, make and teacher (docs/reference/environment.md shows a whole one)"
_TEACHER = "the name of one of the environment's teachers, or an object with a method act(observations)"
_METRICS = (
    "a mapping of names to what a schedule says under environment.metrics, such as {'cost': {'info': 'cost', "
    "'reduce': 'sum', 'direction': 'lower'}}, or a list of keys of infos, such as ['cost']"
)
_METHODS = ("describe", "make", "teacher")
_LIBRARIES = {
    "gymnasium": "a Gymnasium environment",
    "gym": "a Gym environment",
    "pettingzoo": "a PettingZoo environment",
    "stable_baselines3": "an object of Stable-Baselines3",
    "torch": "an object of torch",
}
"""What an object is called whose class comes from a library that people use beside Townlet."""


def as_environment(environment: object) -> EnvironmentProvider | str:
    """Return `environment` as a provider or an id; BadInputError, with what to pass instead, where it is neither.

    A function stands for the environments that it makes; the id of an environment of Gymnasium needs no prefix.
    """
    if isinstance(environment, str):
        family, colon, _ = environment.partition(":")
        if colon and family in entry_points(group=ENVIRONMENTS).names:
            return environment
        if environment in entry_points(group=ENVIRONMENTS).names:
            raise BadInputError(
                f"environment is the text {environment!r}; leave it out: the schedule names registered environments "
                f"itself (environment: {{id: {environment}}})"
            )
        try:
            provider(f"gymnasium:{environment}").describe("default")
        except BadInputError as error:
            raise BadInputError(
                f"environment is {kind_of(environment)}, which names no environment ({error}); pass an id such as "
                f"'gymnasium:CartPole-v1', or {_PROVIDER}"
            ) from error
        return f"gymnasium:{environment}"
    if inspect.isclass(environment) and not _is_foreign(environment):
        raise BadInputError(_class_sentence("environment", environment, _METHODS, _PROVIDER))
    if _is_factory(environment):
        made: Any = environment
        name = getattr(made, "__qualname__", type(made).__name__)
        return PythonProvider(f"{getattr(made, '__module__', '')}:{name}", made)
    missing = [name for name in _METHODS if not callable(getattr(environment, name, None))]
    if missing:
        more = ""
        if inspect.ismodule(environment):
            more = "".join(
                f", such as {environment.__name__}.{name}()" for name in _classes_with(environment, _METHODS)
            )
        elif _is_environment(environment):
            function = "lambda num_envs: …" if hasattr(environment, "num_envs") else "lambda: …"
            more = f"; for one environment, pass a function that makes it: environment={function}"
        raise BadInputError(
            f"environment is {kind_of(environment)}, without {', '.join(missing)}; pass {_PROVIDER}{more}"
        )
    checked: Any = environment
    _require_signature("environment", checked.describe, "scenario")
    _require_signature("environment", checked.make, "scenario", worlds=1, seed=0, max_steps=1, first_world=0)
    _require_signature("environment", checked.teacher, "scenario", "name")
    return checked  # type: ignore[no-any-return]


def as_teacher(teacher: object) -> Teacher | Script | str:
    """Return `teacher` as a name, a teacher or a function; BadInputError, with what to pass instead, for others."""
    if isinstance(teacher, str):
        return teacher
    if inspect.isclass(teacher) and (callable(getattr(teacher, "act", None)) or "__call__" not in vars(teacher)):
        raise BadInputError(_class_sentence("teacher", teacher, ("act",), _TEACHER))
    checked: Any = teacher
    if inspect.isclass(teacher) or not callable(getattr(teacher, "act", None)):
        if callable(teacher) and not inspect.iscoroutinefunction(teacher):
            return checked  # type: ignore[no-any-return]
        more = ""
        if callable(getattr(teacher, "predict", None)):
            more = "; an object with predict becomes one in a class whose act calls it"
        raise BadInputError(f"teacher is {kind_of(teacher)}, without act; pass {_TEACHER}{more}")
    _require_signature("teacher", checked.act, "observations")
    return checked  # type: ignore[no-any-return]


def as_metrics(metrics: object) -> dict[str, InfoMetricSpec]:
    """Return KPIs from infos by name; BadInputError, with what to pass instead, for what is none.

    A list names keys of infos: each is a KPI by the last part of its name, without a better direction.
    """
    if isinstance(metrics, Mapping):
        specs = {name: _info_metric(name, spec) for name, spec in metrics.items()}
    elif isinstance(metrics, Sequence) and not isinstance(metrics, str | bytes):
        specs = {}
        for key in metrics:
            name = key.rpartition(".")[2] if isinstance(key, str) else key
            if name in specs:
                raise BadInputError(f"metrics: two infos give the KPI {name!r}; pass a mapping, with two names")
            specs[name] = _info_metric(name, {"info": key, "direction": Direction.NONE.value})
    else:
        raise BadInputError(f"metrics is {kind_of(metrics)}; pass {_METRICS}")
    return specs


def _info_metric(name: object, spec: object) -> InfoMetricSpec:
    """Return a KPI from infos; BadInputError where no guard could name it, or where it is not what a schedule says."""
    if not isinstance(name, str) or MetricName.parse(f"evaluate.{name}") is None:
        found = repr(name) if isinstance(name, str) else kind_of(name)
        raise BadInputError(
            f"metrics: {found} cannot be the name of a KPI, which has no dot or bracket; pass {_METRICS}"
        )
    try:
        return spec if isinstance(spec, InfoMetricSpec) else structure(spec, InfoMetricSpec)
    except CodecError as error:
        raise BadInputError(f"metrics: {name!r}: {error}; pass {_METRICS}") from error


def teacher_maker(environment: EnvironmentProvider, teacher: Teacher | Script) -> Callable[[], Teacher]:
    """Return what makes a teacher for an environment: an object with `act` as it is, of a script a new one each time.

    BadInputError for a script where only objects with `act` can teach.
    """
    if isinstance(teacher, Teacher) and not inspect.isclass(teacher):
        return lambda: teacher
    if isinstance(environment, ScriptableProvider):
        environment.teacher_of(teacher)  # what is wrong with it is said now
        return functools.partial(environment.teacher_of, teacher)
    raise BadInputError(
        f"teacher is {kind_of(teacher)}, without act; pass {_TEACHER}; a function becomes one as the method act of a "
        "class"
    )


def require_text(name: str, value: object, expected: str) -> None:
    """Raise BadInputError where `value`, passed as argument `name`, is neither text nor a path."""
    if not isinstance(value, str | PurePath):
        raise BadInputError(f"{name} is {kind_of(value)}; pass {expected}")


def as_path(name: str, path: Path | str) -> Path:
    """Return an absolute path: the process may change its directory while the run goes on."""
    require_text(name, path, "the path of a directory")
    return Path(path).absolute()


def require_callable(name: str, value: object, expected: str) -> None:
    """Raise BadInputError where `value`, passed as argument `name`, cannot be called, or would have to be awaited."""
    if not callable(value) or inspect.isclass(value) or inspect.iscoroutinefunction(value):
        raise BadInputError(f"{name} is {kind_of(value)}; pass {expected}")


def require_imports(value: object) -> Imports:
    """Return the modules that a caller allows; BadInputError where `value` is no list of names."""
    names = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(each, str) for each in names):
        raise BadInputError(f"allow_imports is {kind_of(value)}; pass a list of names of modules, such as ['mypkg']")
    return Imports(names)


def as_overrides(overrides: object) -> tuple[Override, ...]:
    """Return the values that a call gives in place of a schedule's own; BadInputError where they are no mapping."""
    if overrides is None:
        return ()
    require_mapping("overrides", overrides, "a mapping of paths such as 'states.ppo.with.learning_rate' to values")
    return tuple(Override.of(path, value) for path, value in cast("Mapping[str, object]", overrides).items())


def require_mapping(name: str, value: object, expected: str) -> None:
    """Raise BadInputError where `value`, passed as argument `name`, is no mapping."""
    if not isinstance(value, Mapping):
        raise BadInputError(f"{name} is {kind_of(value)}; pass {expected}")


def _class_sentence(name: str, passed: type, methods: tuple[str, ...], expected: str) -> str:
    if all(callable(getattr(passed, method, None)) for method in methods):
        return f"{name} is the class {passed.__name__}; pass an instance of it: {name}={passed.__name__}(…)"
    return f"{name} is the class {passed.__name__}; pass {expected}"


def _classes_with(module: Any, methods: tuple[str, ...]) -> list[str]:
    """Return the names of a module's own classes that have all these methods."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and all(callable(getattr(value, method, None)) for method in methods)
    ]


def _is_factory(value: object) -> bool:
    """Return whether an object is a function, or the class of a library, that makes environments."""
    if inspect.iscoroutinefunction(value):
        return False
    return inspect.isroutine(value) or isinstance(value, functools.partial) or _is_foreign(value)


def _is_foreign(value: object) -> bool:
    """Return whether an object is a class of environments of another library."""
    roots = {base.__module__.partition(".")[0] for base in value.__mro__} if inspect.isclass(value) else set[str]()
    return bool(roots & {"gymnasium", "pettingzoo"})


def _is_environment(value: object) -> bool:
    return isinstance(value, Environment) or all(callable(getattr(value, name, None)) for name in ("reset", "step"))


def kind_of(value: object) -> str:
    """Return what an object is, in words."""
    if value is None:
        return "None"
    if isinstance(value, str | bytes):
        return f"the {'text' if isinstance(value, str) else 'bytes'} {short_repr(value)}"
    if isinstance(value, PurePath):
        return f"the path {short_repr(str(value))}"
    code = _kind_of_code(value)
    if code:
        return code
    roots = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    library = next((words for root, words in _LIBRARIES.items() if root in roots), "")
    return f"{library} ({type(value).__name__})" if library else f"an object of {type(value).__name__}"


def _kind_of_code(value: object) -> str:
    """Return which part of a program an object is; empty for other objects."""
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if inspect.iscoroutine(value) or inspect.isgenerator(value) or inspect.isasyncgen(value):
        return f"the {type(value).__name__.replace('_', ' ')} {value.__name__}(…)"
    if isinstance(value, functools.partial):
        return f"a partial of {kind_of(value.func)}"
    if inspect.isroutine(value):
        return "a lambda" if value.__name__ == "<lambda>" else f"the function {value.__name__}"
    return ""


def _require_signature(name: str, method: Callable[..., Any], *arguments: str, **named: int) -> None:
    """Raise BadInputError where a method cannot be called with these arguments, or would have to be awaited."""
    method_name = getattr(method, "__name__", type(method).__name__)
    call = f"{method_name}({', '.join([*arguments, *(f'{word}=…' for word in named)])})"
    if inspect.iscoroutinefunction(method):
        raise BadInputError(f"{name}: {method_name} is a coroutine function; expected a plain method, called as {call}")
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # of a method that is not written in Python; the first call tells
        return
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        raise BadInputError(
            f"{name}: {method_name}{signature} cannot be called as {call}: {error}; give it these parameters"
        ) from error
