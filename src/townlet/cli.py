"""The front door: `townlet COMMAND`. Answers go to stdout, progress and complaints to stderr.

Exit codes: 0 done (and the champion moved, where the schedule can promote), 6 done with the champion unchanged, 2 bad
input or a missing extra, 3 held, 4 failed, 5 journal broken, 7 aborted, 130 and 143 stopped by a signal, 1 a bug.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from townlet import __version__
from townlet.commands.arguments import HOME, Home, Json, SchedulePath, Seed
from townlet.commands.audit import audit
from townlet.commands.bench import bench
from townlet.commands.gc import gc
from townlet.commands.logs import logs
from townlet.commands.registry import registry
from townlet.commands.run_control import add_operator_commands
from townlet.commands.run_loop import walk
from townlet.commands.train import train
from townlet.dto.strategies import Device
from townlet.errors import ResourceFaultError, TownletError

__all__ = ["app", "main", "run_training"]

app = App(
    name="townlet",
    help="Take a scripted policy to a learned one, safely.",
    version=__version__,
    help_format="plaintext",
)
app.command(audit)
app.command(registry)
app.command(train)
app.command(bench)
app.command(logs)
app.command(gc)
add_operator_commands(app)

_HOME = HOME


@app.command
def check(schedule: SchedulePath, *, json: Json = False) -> int:
    """Prove a schedule sound and say what a run may visit and cost; writes nothing."""
    from townlet.machine.schedule.forecast import forecast
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.policy.training.strategies.base import catalogue
    from townlet.ports import provider
    from townlet.report import tables, terminal

    plan = PolicyTrainingOrchestrator(schedule).plan()
    environment = plan.schedule.environment
    describe = provider(environment.id).describe
    suites = {name: describe(name) for evidence in plan.schedule.evidence.values() for name in evidence.scenarios}
    found = forecast(plan, catalogue(), describe(environment.scenario), suites)
    if json:
        terminal.show_json(found.model_dump())
        return 0
    for table in tables.forecast_tables(found):
        terminal.show(table)
    if found.torch:
        terminal.errors.print(
            f"warning: {', '.join(found.torch)} cannot run here: torch is not installed; pip install 'townlet[torch]'",
            markup=False,
        )
    return 0


@app.command
def run(
    schedule: SchedulePath,
    *,
    seed: Seed = None,
    rehearse: Annotated[bool, Parameter(negative="", help="Walk every state with tiny numbers.")] = False,
    device: Annotated[
        Device | None, Parameter(help="Where networks are trained, instead of what the schedule says.")
    ] = None,
    directory: Annotated[Path | None, Parameter(help="Run directory to create instead of one under the home.")] = None,
    home: Home = _HOME,
    json: Json = False,
) -> int:
    """Walk a schedule: capture, clone, fine-tune, evaluate, then promote or roll back."""
    code, _ = walk(
        schedule, home, lambda facade: facade.run(rehearse=rehearse, directory=directory, device=device),
        json=json, seed=seed,
    )  # fmt: skip
    return code


@app.command
def graph(schedule: SchedulePath) -> int:
    """Draw a schedule as a Mermaid state diagram."""
    from townlet.machine.schedule.diagram import mermaid
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.report import terminal

    terminal.show(mermaid(PolicyTrainingOrchestrator(schedule).plan().schedule).rstrip("\n"))
    return 0


@app.command
def strategies(*, json: Json = False) -> int:
    """Say which strategies are available here, and what to install for the rest."""
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    known = catalogue()
    if json:
        terminal.show_json({each.name: each.here for each in known.availability()})
    else:
        terminal.show(tables.strategies_table(known))
    return 0


@app.command
def evaluate(
    policy: Annotated[str, Parameter(help="teacher:NAME, NAME@ALIAS of the registry, or a weights file.")],
    *,
    against: Annotated[str, Parameter(help="The policy to compare with, named likewise.")] = "teacher:scripted",
    environment: Annotated[str, Parameter(help="Environment id.")] = "town",
    scenario: Annotated[str, Parameter(help="Scenario to play.")] = "small_town",
    episodes: Annotated[int, Parameter(help="Paired episodes.")] = 50,
    days: Annotated[int, Parameter(help="Length of an episode.")] = 14,
    seed: Annotated[int, Parameter(help="Keys the episodes.")] = 0,
    confidence: Annotated[float, Parameter(help="Of each one-sided bound.")] = 0.975,
    actions: Annotated[Literal["greedy", "stochastic"], Parameter(help="How learned policies choose.")] = "greedy",
    home: Home = _HOME,
    json: Json = False,
) -> int:
    """Compare two policies over the same episodes; nothing is stored."""
    from townlet.policy.evaluation.comparison import compare, find_policy
    from townlet.ports import provider
    from townlet.report import tables, terminal

    environments = provider(environment)
    candidate, baseline = (find_policy(word, environments, scenario, home, actions) for word in (policy, against))
    result = compare(
        environments, scenario, candidate, baseline,
        episodes=episodes, days=days, seed=seed, confidence=confidence, actions=actions,
    )  # fmt: skip
    if json:
        terminal.show_json(result.model_dump())
    else:
        terminal.show(tables.comparison_table(result))
    return 0


class _StoppedError(BaseException):
    """SIGTERM arrived; a BaseException, so that nothing between here and the door takes it for a failure."""


def _stop(_: int, __: FrameType | None) -> NoReturn:
    raise _StoppedError


def main() -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    _enter(sys.argv[1:])


def run_training() -> NoReturn:
    """Run `townlet train` under the name that earlier releases gave it."""
    _enter(["train", *sys.argv[1:]])


def _enter(tokens: list[str]) -> NoReturn:
    # Spinning OpenMP threads starve each other as soon as another process wants a core (measured: docs/LOG.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(_guarded(tokens))


def _guarded(tokens: list[str]) -> int:
    """Return the exit code of one command; every complaint is one clear text without a traceback."""
    from townlet.report.terminal import complain

    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        complain(str(error))
        return 2
    except TownletError as error:
        complain(str(error))
        return error.exit_code
    except MemoryError:
        complain("the memory is exhausted; free some, or raise the limit, and run the command again")
        return ResourceFaultError.exit_code
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C; what the journal holds is durable")
        return 130
    except _StoppedError:
        complain("stopped by SIGTERM; what the journal holds is durable")
        return 143
    return code if isinstance(code, int) else 0
