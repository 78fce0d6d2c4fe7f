"""`townlet compare`: the runs of two schedules or more, KPI by KPI."""

from typing import Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Json, Wide

__all__ = ["compare"]


def compare(
    run: Annotated[
        str, Parameter(help="A run as elsewhere, or the name of a schedule for all its runs; the first is the measure.")
    ],
    *runs: Annotated[str, Parameter(help="More of them; the runs of one schedule are one recipe.")],
    allow_import: AllowImport = (),
    wide: Wide = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Compare recipes by the last evidence of their runs: IQM, mean, probability of improvement, intervals."""
    from townlet.imports import Imports
    from townlet.machine.replication.recipes import compare_recipes, named_runs
    from townlet.machine.replication.sentences import comparison_sentences
    from townlet.policy.training.environment_source import EnvironmentSource
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.report.replications import recipes_table

    measured, left_out = named_runs(home, (run, *runs), catalogue())
    comparison = compare_recipes(measured, EnvironmentSource(imports=Imports(tuple(allow_import)), home=home).describe)
    for reason in left_out:
        terminal.warn(f"left out: {reason}")
    sentences = list(comparison_sentences(comparison))
    if json:
        terminal.show_json(comparison.model_dump() | {"sentences": sentences})
    else:
        terminal.show(recipes_table(comparison), wide=wide)
        terminal.show("\n".join(sentences))
    return 0
