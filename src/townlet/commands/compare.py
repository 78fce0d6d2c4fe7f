"""`townlet compare`: the runs of two schedules or more, KPI by KPI."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Json, Wide

if TYPE_CHECKING:
    from townlet.machine.replication.recipes import MeasuredRun, RecipeComparison
    from townlet.machine.schedule.partial import Describe

__all__ = ["compare"]


def compare(
    run: Annotated[
        str, Parameter(help="A run as elsewhere, or the name of a schedule for all its runs; the first is the measure.")
    ],
    *runs: Annotated[str, Parameter(help="More of them; the runs of one schedule are one recipe.")],
    html: Annotated[bool, Parameter(negative="", help="Write the comparison as one page.")] = False,
    out: Annotated[
        Path | None, Parameter(help="File of the page, compare.html by default; it stands for --html.")
    ] = None,
    force: Annotated[bool, Parameter(negative="", help="Replace the file where it exists.")] = False,
    allow_import: AllowImport = (),
    wide: Wide = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Compare recipes by the last evidence of their runs: IQM, mean, probability of improvement, intervals."""
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.machine.replication.recipes import compare_recipes, named_runs
    from townlet.machine.replication.sentences import comparison_sentences
    from townlet.numerals import size
    from townlet.policy.training.environment_source import EnvironmentSource
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.report.replications import recipes_table
    from townlet.store.files import write_atomic
    from townlet.store.outputs import require_output_file

    target = out or (Path("compare.html") if html else None)
    if target is not None:
        require_output_file(target, "--out")
        if target.exists() and not force:
            raise BadInputError(f"{target} exists already; name another file with --out, or add --force")
    measured, left_out = named_runs(home, (run, *runs), catalogue())
    describe = EnvironmentSource(imports=Imports(tuple(allow_import)), home=home).describe
    comparison = compare_recipes(measured, describe)
    for reason in left_out:
        terminal.warn(f"left out: {reason}")
    sentences = list(comparison_sentences(comparison))
    if target is not None:
        page = _page(comparison, measured, home, describe)
        write_atomic(target, page)
        terminal.warn(f"wrote {target} ({size(len(page))})") if json else terminal.show(
            f"wrote {target} ({size(len(page))})"
        )
    if json:
        terminal.show_json(comparison.model_dump() | {"sentences": sentences})
    else:
        terminal.show(recipes_table(comparison), wide=wide)
        terminal.show("\n".join(sentences))
    return 0


def _page(comparison: "RecipeComparison", measured: Sequence["MeasuredRun"], home: Path, describe: "Describe") -> bytes:
    """Return the page, with what a report says of each run."""
    from townlet.env.libraries import needed
    from townlet.machine.audit.report_facts import report_facts
    from townlet.machine.audit.run_data import RunData
    from townlet.policy.training.strategies.base import catalogue

    with needed("jinja2", "markupsafe", extra="report"):
        from townlet.report.html.compare_page import compare_page
    facts = {run.id: report_facts(RunData.read(run.directory, home, catalogue()), describe) for run in measured}
    return compare_page(comparison, [[facts[run] for run in recipe.runs] for recipe in comparison.recipes]).encode()
