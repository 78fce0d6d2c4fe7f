"""`townlet report`: what a run decided and why, as a page, for a pull request, or as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Run, find_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from townlet.dto.recording import RecordedPair
    from townlet.imports import Imports
    from townlet.machine.audit.report_facts import ReportFacts
    from townlet.machine.audit.run_data import RunData
    from townlet.report.following import Following
    from townlet.store.rundir import RunDirectory

__all__ = ["report"]

_MOST_DECISIONS = 50_000
"""Of an episode that is played for a page; a report is not to take minutes."""
_MOST_CHARACTERS = 55_000
"""Of the pictures of one policy in one episode."""
Format = Literal["html", "md", "png"]


def report(
    run: Run,
    *,
    out: Annotated[
        Path | None,
        Parameter(help="File to write; without it report.html or .png of the run directory; Markdown to stdout."),
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None, Parameter(help="html, md (for a pull request) or png; by default from --out.")
    ] = None,
    episodes: Annotated[
        bool,
        Parameter(
            help="Play the candidate's largest gain and loss, of all scenarios, on the page, beside the baseline."
        ),
    ] = True,
    force: Annotated[bool, Parameter(negative="", help="Replace the file where it exists.")] = False,
    follow: Annotated[
        bool, Parameter(negative="", help="Write the page again as the run goes on, until it ends; HTML only.")
    ] = False,
    every: Annotated[
        str | None, Parameter(help="With --follow: how often at the most, such as 30s or 2min; 5s by default.")
    ] = None,
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Write what a run decided and why as one HTML page that needs nothing else, as Markdown, or as a picture."""
    from townlet.commands.report_follow import check_follow, keep_current
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.numerals import size
    from townlet.report import terminal
    from townlet.store.files import write_atomic
    from townlet.store.outputs import require_output_file

    kind = _format(out, format)
    seconds = check_follow(kind, every, follow=follow)
    home, directory = find_run(home, run)
    target = out if out is not None or kind == "md" else directory.path / f"report.{kind}"
    if out is not None:
        require_output_file(out, "--out")
        if out.exists() and not force:
            raise BadInputError(f"{out} exists already; name another file with --out, or add --force")
    imports = Imports(tuple(allow_import))
    read = _reader(directory, home, imports)

    def page(following: "Following | None") -> bytes:
        data, facts = read()
        shown = episodes and following is None  # a page that reads itself again would end what it plays
        pairs, problem = _episodes(data, facts, imports) if shown else ((), "")
        return _page(facts, pairs, problem, following)

    if follow and target is not None:
        return keep_current(directory, target, seconds, page)
    content = page(None) if kind == "html" else _content(read()[1], kind)
    if target is None:
        terminal.show_plain(content.decode())
    else:
        write_atomic(target, content)
        terminal.show(f"wrote {target} ({size(len(content))})")
    return 0


def _format(out: Path | None, given: Format | None) -> Format:
    """Return the format: the one given, or the one that the file's name ends with; HTML where neither says it."""
    if given is not None:
        return given
    endings: dict[str, Format] = {".html": "html", ".md": "md", ".png": "png"}
    return endings.get("" if out is None else out.suffix.lower(), "html")


def _episodes(data: "RunData", facts: "ReportFacts", imports: "Imports") -> tuple[tuple["RecordedPair", ...], str]:
    """Return the two episodes that a page plays, or why it plays none: sentences without a path of this machine."""
    from townlet.errors import TownletError
    from townlet.policy.training.episode_choice import EXTREMES, episode_of_run
    from townlet.policy.training.episode_pair import record_part

    if facts.evidence is None or facts.created.rehearsal:
        return (), ""
    if not facts.metrics:
        return (), "They cannot be played here: the environment is not here, or may not be imported."
    try:
        chosen = [
            episode_of_run(data, imports=imports, episode=extreme, evidence=facts.evidence) for extreme in EXTREMES
        ]
        if (most := max(each.max_steps for each in chosen)) > _MOST_DECISIONS:
            return (), f"An episode of up to {most:,} decisions is too long to be played for this page."
        different = {(each.environment.scenario, each.episode): each for each in reversed(chosen)}
        return tuple(record_part(each, _MOST_CHARACTERS) for each in reversed(different.values())), ""
    except TownletError:  # its message may name paths of this machine; the command below says it
        return (), _why_unplayed(data, facts)


def _why_unplayed(data: "RunData", facts: "ReportFacts") -> str:
    """Return which kind of thing is missing where episodes cannot be played, without a path of this machine."""
    from townlet.dto.policy_ref import is_data, parse_teacher, short_ref
    from townlet.errors import TownletError
    from townlet.policy.model.weights import read_weights

    table = None if facts.evidence is None else facts.evidence.table
    for policy in () if table is None else (table.candidate, *table.baselines.values()):
        if parse_teacher(policy) is not None or is_data(policy):
            continue
        try:
            content = data.blobs.get(policy)
        except TownletError:
            return f"They cannot be played here: the weights {short_ref(policy)} are not in the home, or damaged there."
        try:
            read_weights(content, "")
        except TownletError:
            return (
                f"They cannot be played here: the weights {short_ref(policy)} are refused, because their file is not "
                "valid or they do not act as they did when they were stored; the command below says which."
            )
    return "They cannot be played here: the environment refused; the command below says why."


def _reader(directory: "RunDirectory", home: Path, imports: "Imports") -> "Callable[[], tuple[RunData, ReportFacts]]":
    """Return what reads the run as it is at each call."""
    from townlet.machine.audit.report_facts import report_facts
    from townlet.machine.audit.run_data import RunData
    from townlet.policy.training.strategies.base import catalogue
    from townlet.ports import provider

    def read() -> "tuple[RunData, ReportFacts]":
        data = RunData.read(directory, home, catalogue())
        return data, report_facts(data, lambda spec: provider(spec, imports).describe(spec.scenario))

    return read


def _content(facts: "ReportFacts", kind: Format) -> bytes:
    """Return Markdown or a picture."""
    from townlet.env.libraries import needed

    if kind == "md":
        from townlet.report.run_markdown import run_markdown

        return run_markdown(facts).encode()
    with needed("matplotlib", extra="report"):
        from townlet.report.picture import run_picture
    return run_picture(facts)


def _page(facts: "ReportFacts", pairs: "Sequence[RecordedPair]", problem: str, following: "Following | None") -> bytes:
    from townlet.env.libraries import needed

    with needed("jinja2", "markupsafe", extra="report"):
        from townlet.report.html.run_page import run_page
    return run_page(facts, pairs, problem, following=following).encode()
