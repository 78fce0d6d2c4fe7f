"""The command line: `townlet COMMAND`. Results go to stdout, progress and error messages to stderr.

`townlet.errors.EXIT_CODES` says what each exit code means.
"""

import os
import signal
import sys
from gc import freeze
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from townlet import __version__
from townlet.commands.arguments import (
    HOME,
    AllowImport,
    Home,
    Json,
    Overrides,
    PolicyWord,
    Quiet,
    SchedulePath,
    Seed,
    Track,
    Wide,
)
from townlet.commands.audit import audit
from townlet.commands.bench import bench
from townlet.commands.card import card
from townlet.commands.check import check
from townlet.commands.compare import compare
from townlet.commands.demo import demo
from townlet.commands.export import export
from townlet.commands.faults import check_words, close_output, open_missing_streams, refusal_of
from townlet.commands.gc import gc
from townlet.commands.graph import graph
from townlet.commands.init import init
from townlet.commands.live import watch
from townlet.commands.logs import logs
from townlet.commands.overview import ANSWERING, LOOKING, OTHERS, PLANNING, RUNNING, exit_codes_text
from townlet.commands.play import play
from townlet.commands.push import push
from townlet.commands.registry import registry
from townlet.commands.replicate import replicate
from townlet.commands.report import report
from townlet.commands.run_control import add_operator_commands
from townlet.commands.run_loop import run_with_progress
from townlet.commands.runs import runs
from townlet.commands.schedules import add_schedule_commands
from townlet.commands.sign import sign
from townlet.commands.train import train
from townlet.dto.strategies import Device
from townlet.errors import ResourceFaultError, TownletError

if TYPE_CHECKING:
    from townlet.dto.policy import AnnealSummary
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

__all__ = ["app", "main", "run_command", "run_training"]

_HELP_WIDTH = 40
"""Columns below which the help cannot be read; cyclopts loops for ever where there are only one or two."""

app = App(
    name="townlet",
    help="Take a scripted policy to a learned one, safely.",
    help_epilogue=exit_codes_text(),
    version=__version__,
    help_format="plaintext",
)
app.command(init, group=PLANNING)
app.command(demo, group=RUNNING)
app.command(train, group=RUNNING)
app.command(replicate, group=RUNNING)
app.command(watch, group=RUNNING)
app.command(compare, group=LOOKING)
app.command(audit)
app.command(registry)
app.command(runs, group=LOOKING)
app.command(report, group=LOOKING)
app.command(card, group=LOOKING)
app.command(export, group=LOOKING)
app.command(push, group=LOOKING)
app.command(play, group=LOOKING)
app.command(gc)
app.command(bench)
app.command(logs)
app.command(sign, group=ANSWERING)
add_operator_commands(app)
add_schedule_commands(app)
app.command(check, group=PLANNING)
app.command(graph, group=PLANNING)


@app.command(group=RUNNING)
def run(
    schedule: SchedulePath,
    *,
    seed: Seed = None,
    rehearse: Annotated[
        bool, Parameter(negative="", help="Visit every state with tiny numbers; promote nothing.")
    ] = False,
    device: Annotated[
        Device | None, Parameter(help="Where networks are trained; replaces the schedule's device.")
    ] = None,
    directory: Annotated[Path | None, Parameter(help="Run directory to create instead of one under the home.")] = None,
    own_registry: Annotated[
        bool, Parameter(negative="", help="See and move no champion of the home: the run has a registry of its own.")
    ] = False,
    overrides: Overrides = (),
    allow_import: AllowImport = (),
    track: Track = (),
    quiet: Quiet = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Run a schedule: capture, clone, fine-tune, evaluate, then promote or roll back."""

    def begin(orchestrator: "PolicyTrainingOrchestrator") -> "AnnealSummary":
        if own_registry:
            from townlet.policy.training.launch import ScheduleSource

            source = ScheduleSource.of(orchestrator.config)
            orchestrator.plan(source)  # mistakes are shown in the text as it was written
            orchestrator.config = source.with_own_registry()
        return orchestrator.run(rehearse=rehearse, directory=directory, device=device)

    code, _ = run_with_progress(
        schedule,
        home,
        begin,
        json=json,
        seed=seed,
        overrides=overrides,
        allow_import=allow_import,
        track=track,
        quiet=quiet,
    )
    return code


@app.command(group=OTHERS)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell that is to complete.")],
) -> int:
    """Print a script with which a shell completes commands, options and values."""
    from townlet.report import terminal

    terminal.show_plain(app.generate_completion(shell=shell))
    return 0


@app.command(group=LOOKING)
def evaluate(
    policy: PolicyWord,
    *,
    against: Annotated[str, Parameter(help="The policy to compare with, named in the same way.")] = "teacher:scripted",
    environment: Annotated[str | None, Parameter(help="Environment id; by default the policy's own.")] = None,
    scenario: Annotated[str | None, Parameter(help="Scenario to play; by default the policy's own.")] = None,
    episodes: Annotated[int, Parameter(help="Paired episodes.")] = 50,
    days: Annotated[
        int | None, Parameter(help="Length of an episode; by default that of the policy's evidence, else 14.")
    ] = None,
    seed: Annotated[int, Parameter(help="Seed of the episodes.")] = 0,
    confidence: Annotated[float, Parameter(help="Confidence of each one-sided bound.")] = 0.975,
    actions: Annotated[Literal["greedy", "stochastic"], Parameter(help="How learned policies choose.")] = "greedy",
    missing: Annotated[
        Literal["worst", "drop"] | None,
        Parameter(help="What an episode counts as in which only one side has exposure; unknown where not given."),
    ] = None,
    allow_import: AllowImport = (),
    wide: Wide = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Compare two policies over the same episodes; nothing is written."""
    from townlet.dto.schedule import EnvironmentSpec
    from townlet.imports import Imports
    from townlet.policy.evaluation.comparison import compare, fit_policy
    from townlet.policy.training.policy_references import resolve
    from townlet.policy.training.strategies.base import catalogue
    from townlet.policy.training.telemetry import MetricPoint
    from townlet.ports import provider
    from townlet.report import tables, terminal
    from townlet.report.progress.run_progress import RunProgress

    references = [resolve(word, home, catalogue()) for word in (policy, against)]
    # The candidate says where it is at home; where it is a script, the baseline does.
    spec = next((r.environment for r in references if r.environment), EnvironmentSpec(id="town", scenario="small_town"))
    spec = spec if environment is None else EnvironmentSpec(id=environment)
    scenario, environments = scenario or spec.scenario, provider(spec, Imports(allow_import))
    candidate, baseline = (fit_policy(each, environments, scenario, actions) for each in references)
    with RunProgress(terminal.errors) as progress:

        def watch(decision: int, decisions: int) -> None:
            progress.watch(
                MetricPoint(state="evaluate", visit=1, step=decision, of=decisions, agent_steps=0, numbers={})
            )

        result = compare(
            environments,
            scenario,
            candidate,
            baseline,
            episodes=episodes,
            days=next((r.days for r in references if r.days), 14) if days is None else days,
            seed=seed,
            confidence=confidence,
            actions=actions,
            missing=missing,
            watch=watch,
        )
    if json:
        terminal.show_json(result.model_dump())
    else:
        terminal.show(tables.comparison_table(result), wide=wide)
        for row in result.metrics:
            if row.problem:
                advice = "; state what these count as: --missing worst or --missing drop"
                is_open = missing is None and (row.candidate_missing or row.baseline_missing)
                terminal.warn(f"{row.metric} is not known: {row.problem}{advice if is_open else ''}")
    return 0


class _StoppedError(BaseException):
    """SIGTERM arrived; a BaseException, so that no `except Exception` on the way up takes it for a failure."""


def _raise_stopped(_: int, __: FrameType | None) -> NoReturn:
    raise _StoppedError


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _run_and_exit(sys.argv[1:])


def run_training() -> NoReturn:
    """Run `townlet train` under its name in earlier releases."""
    _run_and_exit(["train", *sys.argv[1:]])


def _run_and_exit(tokens: list[str]) -> NoReturn:
    # Spinning OpenMP threads starve each other as soon as another process wants a core (measured: docs/LOG.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    open_missing_streams()
    signal.signal(signal.SIGTERM, _raise_stopped)
    code = run_command(tokens)
    close_output()
    freeze()  # or Python searches all objects for garbage as it ends: a second after torch and numba
    sys.exit(code)


def run_command(tokens: list[str]) -> int:
    """Run one command and return its exit code; whatever a user can cause becomes one message without a traceback."""
    from townlet.report.terminal import complain, errors, lost_results, output

    try:
        check_words(tokens)
        code = app(
            tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
            console=output(least_width=_HELP_WIDTH),
            error_console=errors,
        )
    except (CycloptsError, TownletError, OSError, MemoryError, UnicodeEncodeError) as error:
        sentence, code = refusal_of(error)
        complain(sentence)
        return code
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C; the records in the journal are safe on disk")
        return 130
    except _StoppedError:
        complain("stopped by SIGTERM; the records in the journal are safe on disk")
        return 143
    code = code if isinstance(code, int) else 0
    if reason := lost_results():
        complain(f"stdout: {reason}; the result was not written, give the command again with another output")
        return code or ResourceFaultError.exit_code
    return code
