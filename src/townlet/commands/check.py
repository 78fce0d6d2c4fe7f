"""`townlet check`: prove that a schedule is sound, or probe an environment."""

import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from townlet.commands.arguments import AllowImport, Json, OptionalSchedulePath, Overrides, Wide
from townlet.commands.recheck import check_on_save

__all__ = ["check"]


def check(
    schedule: OptionalSchedulePath = None,
    *,
    env: Annotated[str | None, Parameter(help="Probe an environment by its id, in place of a schedule.")] = None,
    teacher: Annotated[
        str | None, Parameter(help="With --env: one of the environment's teachers, or MODULE:NAME.")
    ] = None,
    max_steps: Annotated[int | None, Parameter(help="With --env: decisions after which every episode is cut.")] = None,
    scenario: Annotated[str | None, Parameter(help="With --env: scenario of the environment.")] = None,
    overrides: Overrides = (),
    watch: Annotated[
        bool, Parameter(negative="", help="Check again each time the schedule is saved, until Ctrl-C.")
    ] = False,
    allow_import: AllowImport = (),
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Prove that a schedule is sound and print what a run can visit and cost at most, or probe an environment.

    Nothing is written.
    """
    from townlet.errors import BadInputError

    if schedule is not None and env is None:
        if teacher is not None or max_steps is not None or scenario is not None:
            raise BadInputError("check: --teacher, --max-steps and --scenario belong to --env; a schedule has its own")
        forecast = partial(_forecast, schedule, overrides, allow_import, wide=wide, json=json)
        return check_on_save(schedule, forecast) if watch else forecast()
    if schedule is None and env is not None:
        if overrides or watch:
            raise BadInputError("check: --set and --watch are about a schedule; with --env there is none")
        return _probe(env, teacher, max_steps, scenario or "default", allow_import, wide=wide, json=json)
    found = "neither" if env is None else "both"
    raise BadInputError(f"check: expected a schedule or --env ID, found {found}; name one of them")


def _forecast(
    schedule: Path, overrides: tuple[str, ...], allow_import: tuple[str, ...], *, wide: bool, json: bool
) -> int:
    from attrs import evolve

    from townlet.imports import Imports
    from townlet.machine.schedule.forecast import forecast
    from townlet.machine.schedule.overrides import parse_overrides
    from townlet.policy.training.data_sets import check_data_sets
    from townlet.policy.training.environment_checks import check_custom_teacher, check_promises, refuse_broken
    from townlet.policy.training.launch import ScheduleSource
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    config = ScheduleSource.overriding(schedule, parse_overrides(overrides))
    orchestrator = PolicyTrainingOrchestrator(config, imports=Imports(allow_import))
    plan, source = orchestrator.plan(), orchestrator.source
    environments = source.of_schedule(plan.schedule, schedule.parent)
    reports = check_promises(environments, plan.schedule)
    refuse_broken(reports)
    check_custom_teacher(environments, plan.schedule)
    check_data_sets(plan, environments)
    described, suites = source.describe(plan.schedule.environment), source.describe_suites(plan.schedule)
    prediction = evolve(forecast(plan, catalogue(), described, suites), environment_reports=reports)
    if json:
        terminal.show_json(prediction.model_dump())
        return 0
    for table in tables.forecast_tables(prediction):
        terminal.show(table, wide=wide)
    for report in reports:
        terminal.show(report.summary)
        for sentence in report.reservation_sentences:
            terminal.warn(sentence)
    for sentence in (*prediction.first_run, *prediction.unguarded_tails):
        terminal.warn(sentence)
    if prediction.torch:
        names = ", ".join(prediction.torch)
        terminal.warn(f"{names} cannot run: torch is not installed; install it with: pip install 'townlet[torch]'")
    return 0


def _probe(
    env: str,
    teacher: str | None,
    max_steps: int | None,
    scenario: str,
    allow_import: tuple[str, ...],
    *,
    wide: bool,
    json: bool,
) -> int:
    from townlet.dto.schedule import EnvironmentSpec
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.policy.training.environment_probe import probe_environment
    from townlet.policy.training.environment_source import EnvironmentSource
    from townlet.report import terminal
    from townlet.report.probe_table import probe_table

    spec = EnvironmentSpec(id=env, scenario=scenario, max_steps=max_steps)
    with redirect_stdout(sys.stderr):  # what an environment prints is no result
        probe = probe_environment(spec, teacher, EnvironmentSource(imports=Imports(allow_import)))
    if json:
        terminal.show_json(probe.model_dump())
    else:
        terminal.show(probe_table(probe), wide=wide)
        terminal.show(probe.report.summary)
    return BadInputError.exit_code if probe.report.refusals else 0
