"""Compare the objects that a call from Python passes with those that its run was begun with."""

from attrs import evolve

from townlet.dto.policy_ref import NO_TEACHER, is_reference
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.snapshot import RunSnapshot, first_record, load_run
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.training.argument_checks import kind_of
from townlet.policy.training.custom_teacher import CUSTOM_NAMES
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.ports import EnvironmentProvider, Script, Teacher
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["source_of_run"]


def source_of_run(
    run: RunDirectory,
    blobs: BlobStore,
    catalogue: StrategyCatalogue,
    source: EnvironmentSource,
    teacher: Teacher | Script | str | None,
) -> EnvironmentSource:
    """Return where environment and teacher come from with which a run goes on.

    BadInputError where the environment has another signature than the journal says, where the teacher has another name
    than in the schedule, or where the run was begun with an object that is not passed.
    """
    snapshot = _snapshot(run, blobs, catalogue)
    spec, signature = snapshot.schedule.environment, first_record(run, snapshot.entries).environment
    inner = _registered(run, source, spec) if source.passed is None else source.provider(spec)
    try:
        description = inner.describe(spec.scenario)
    except BadInputError as error:
        raise BadInputError(
            f"run {run.id} was begun in the environment {spec.id}/{spec.scenario}, which the one that was passed does "
            f"not know ({error}); pass the environment that the run was begun with"
        ) from error
    if source.passed is not None and description.signature != signature:
        raise BadInputError(
            f"run {run.id}: the environment that was passed, {description.id}/{description.scenario}, has the "
            f"signature {description.signature[:12]}; expected {signature[:12]}, of the environment "
            f"{spec.id}/{spec.scenario} that the run was begun with: pass that one"
        )
    name = snapshot.schedule.teacher
    is_custom = name in CUSTOM_NAMES and name not in description.teachers
    if is_custom and (teacher is None or isinstance(teacher, str)):
        means = "stands for no teacher" if teacher == NO_TEACHER else "is a name"
        found = "none was passed" if teacher is None else f"{teacher!r} {means}"
        raise BadInputError(
            f"run {run.id} was begun with a teacher that was passed as an object, and {found}; pass the object again: "
            f"townlet.resume({str(run.path.absolute())!r}, teacher=…)"
        )
    if teacher is None or (isinstance(teacher, str) and teacher == name):
        return source
    if is_custom and not isinstance(teacher, str):
        return evolve(source, teacher=teacher)
    raise BadInputError(
        f"run {run.id} was begun {_with(name)}, and {_passed(teacher)} was passed; leave teacher out, or begin another "
        "run"
    )


def _with(teacher: str) -> str:
    """Return which teacher a schedule names, in words."""
    if teacher == NO_TEACHER:
        return f"without a teacher (teacher: {NO_TEACHER})"
    owner = "the teacher" if is_reference(teacher) else "the environment's teacher"
    return f"with {owner} {teacher!r}"


def _passed(teacher: Teacher | Script | str) -> str:
    """Return which teacher a call passed, in words."""
    if not isinstance(teacher, str):
        return kind_of(teacher)
    return f"{teacher!r}, which stands for no teacher," if teacher == NO_TEACHER else repr(teacher)


def _snapshot(run: RunDirectory, blobs: BlobStore, catalogue: StrategyCatalogue) -> RunSnapshot:
    """Return the state of a run; HoldError where another process is writing it just now."""
    try:
        return load_run(run, blobs, catalogue)
    except JournalBrokenError:
        with run.lock():
            return load_run(run, blobs, catalogue)


def _registered(run: RunDirectory, source: EnvironmentSource, spec: EnvironmentSpec) -> EnvironmentProvider:
    try:
        return source.provider(spec)
    except BadInputError as error:
        if is_reference(spec.id):  # the reason says what to do: allow an import, install a library
            raise
        raise BadInputError(
            f"run {run.id} was begun with an environment {spec.id!r} that no installed package registers; pass "
            f"the object again: townlet.resume({str(run.path.absolute())!r}, environment=…)"
        ) from error
