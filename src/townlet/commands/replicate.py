"""`townlet replicate`: one schedule under several seeds, each an ordinary run with a registry of its own."""

from typing import TYPE_CHECKING, Annotated

from attrs import evolve
from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Json, Overrides, Quiet, SchedulePath, Track, Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from townlet.machine.replication.children import Ended, Job
    from townlet.machine.replication.summary import Replicate

__all__ = ["replicate"]

_MOST = 1_000
"""Seeds, and processes at once, that a replication has at most; more is a slip of the finger."""
_CODES = {"failed": 4, "aborted": 7}


def replicate(
    schedule: SchedulePath,
    *,
    seeds: Annotated[int, Parameter(help="How many runs: seeds S, S+1, and so on.")] = 5,
    jobs: Annotated[int, Parameter(help="How many runs work at once.")] = 1,
    first_seed: Annotated[
        int | None, Parameter(help="S, the first seed; by default the schedule's own, 0 where it has none.")
    ] = None,
    overrides: Overrides = (),
    allow_import: AllowImport = (),
    track: Track = (),
    quiet: Quiet = False,
    wide: Wide = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Run a schedule under several seeds, and say what belongs to the recipe and what to single weights.

    The same command again goes on: what ended is read, what was cut off is resumed, what is missing begins. No run sees
    the home's champion or another run's, and none moves it.
    """
    from townlet.commands.run_loop import SignalHandler
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.machine.replication.children import work
    from townlet.machine.replication.sentences import replication_sentences
    from townlet.machine.schedule.overrides import parse_overrides
    from townlet.policy.training.replicates import Replicates
    from townlet.report import terminal
    from townlet.report.replications import replication_table
    from townlet.store.hints import command_line
    from townlet.trackers.find import find_trackers, tracker_words

    for name, count in (("--seeds", seeds), ("--jobs", jobs)):
        if not 1 <= count <= _MOST:
            raise BadInputError(f"{name} is {count}; expected 1 to {_MOST:,}")
    find_trackers(track, {}, home)  # refused here rather than by every run
    given, imports = parse_overrides(overrides), Imports(tuple(allow_import))
    replicates = Replicates.of(schedule, seeds, first=first_seed, overrides=given, home=home, imports=imports)
    problems: dict[int, str] = {}
    first = str(replicates.seeds[0])
    numbers = ("--seeds", str(seeds), "--jobs", str(jobs), "--first-seed", first)
    words = (*numbers, *replicates.words, *tracker_words(track))
    again = command_line("replicate", str(replicates.path.absolute()), *words, home=home)

    def ended(job: "Job", end: "Ended") -> None:
        if end.code not in (0, 6):
            problems[job.seed] = end.said
        if not quiet:
            terminal.say(f"seed {job.seed}: {problems.get(job.seed, 'done')}")

    def began(job: "Job") -> None:
        if not quiet:
            terminal.say(f"seed {job.seed}: {'begins' if job.words[0] == 'run' else 'goes on'}")

    with SignalHandler(allow_import) as signals:
        work(
            [evolve(job, words=(*job.words, *tracker_words(track))) for job in replicates.jobs()],
            at_once=jobs,
            locks=replicates.lock,
            stopping=signals.stop_requested,
            began=began,
            ended=ended,
        )
    replication = replicates.summary(problems)
    if signals.number:
        terminal.complain(f"{signals.name}: {replication.ended} of {seeds} runs ended; go on with: {again}")
        return 128 + signals.number
    sentences = list(replication_sentences(replication))
    if json:
        terminal.show_json(replication.model_dump() | {"sentences": sentences})
    else:
        terminal.show(replication_table(replication), wide=wide)
        terminal.show("\n".join(sentences))
    if replication.ended < seeds:
        terminal.say(f"go on with: {again}")
    return _exit_code(replication.replicates)


def _exit_code(replicates: "Sequence[Replicate]") -> int:
    """Return 0 where all runs are done, 4 where one failed, 7 where one was aborted, else 3."""
    states = {each.state for each in replicates}
    return next((code for state, code in _CODES.items() if state in states), 0 if states == {"done"} else 3)
