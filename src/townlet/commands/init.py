"""`townlet init`: write a first schedule for an environment and a teacher."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from townlet.commands.arguments import AllowImport, import_words

__all__ = ["init"]


def init(
    *,
    env: Annotated[str, Parameter(help="Environment id, such as gymnasium:CartPole-v1 or python:MODULE:FUNCTION.")],
    teacher: Annotated[str, Parameter(help="One of the environment's teachers, or MODULE:NAME.")],
    max_steps: Annotated[int | None, Parameter(help="Decisions after which every episode is cut.")] = None,
    scenario: Annotated[str, Parameter(help="Scenario of the environment.")] = "default",
    out: Annotated[Path | None, Parameter(help="File to write; a file that exists is kept.")] = None,
    allow_import: AllowImport = (),
) -> int:
    """Print a commented schedule for an environment, its numbers fitted to a pilot of the teacher."""
    from townlet.dto.schedule import EnvironmentSpec
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.machine.schedule.shipped import editor_line
    from townlet.policy.training.environment_source import EnvironmentSource
    from townlet.policy.training.first_schedule import first_schedule
    from townlet.report import terminal
    from townlet.store.files import write_atomic

    if out is not None and out.exists():
        raise BadInputError(f"{out} exists already; name another file with --out, or remove it")
    source = EnvironmentSource(imports=Imports(allow_import))
    made = first_schedule(EnvironmentSpec(id=env, scenario=scenario, max_steps=max_steps), teacher, source)
    terminal.say(
        f"the teacher's {made.description.objective} in {made.pilot.episodes} episodes: {made.pilot.mean:.4g} ± "
        f"{made.pilot.sd:.4g} (mean ± sd); {made.pilot.decisions_per_second:,.0f} decisions a second"
    )
    text = f"{editor_line()}\n{made.text()}"
    if out is None:
        terminal.show_plain(text)
        return 0
    write_atomic(out, text.encode())
    check, run = (shlex.join(["townlet", word, str(out), *import_words(allow_import)]) for word in ("check", "run"))
    terminal.show(f"wrote {out}\nnext: {check}\nthen: {run}")
    return 0
