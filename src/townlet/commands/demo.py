"""`townlet demo`: the shortest run that ends with a promotion, with a sentence for each step."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from townlet.commands.arguments import HOME, Home, Quiet
from townlet.commands.run_loop import run_with_progress

if TYPE_CHECKING:
    from townlet.dto.journal import Entry
    from townlet.dto.policy import AnnealSummary
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

__all__ = ["OVERRIDES", "SCHEDULE", "SENTENCES", "demo"]

SCHEDULE = "quickstart"
OVERRIDES = ("states.ppo.with.agent_steps=1200000",)
"""What makes the shipped schedule shorter, in the words that anybody may use."""
SENTENCES = {
    "capture": "The scripted policy plays, and what it sees and does is recorded.",
    "bc": "A network learns to do what the script did: a clone.",
    "ppo": "The clone plays itself, and what earned more reward becomes more likely.",
    "evaluate": "The network and the script play the same new episodes. Guards ask whether it is better, and no worse "
    "in what counts, with confidence.",
    "promote": "Every guard passed: the alias `champion` moves to the network, once, and the journal says why.",
    "rollback": "A guard did not pass: the weights go back, and training goes on from there.",
}


def demo(*, home: Home = HOME, quiet: Quiet = False) -> int:
    """Take a scripted town to a learned one in about a minute, and say at each step what happens and why."""
    from townlet.machine.schedule.shipped import find_schedule
    from townlet.report import terminal
    from townlet.store.hints import command_line

    words = [word for each in OVERRIDES for word in ("--set", each)]
    terminal.say(
        "A small town is run by a script. A network takes over if it proves better.\n"
        f"The same without explanations: {command_line('run', SCHEDULE, *words, home=home)}"
    )
    schedule = find_schedule(SCHEDULE)
    code, summary = run_with_progress(schedule, home, _explained, json=False, overrides=OVERRIDES, quiet=quiet)
    if summary is not None:
        terminal.show("\n".join(["", "what to do next", *_advice(summary.run, home)]))
    return code


def _explained(orchestrator: "PolicyTrainingOrchestrator") -> "AnnealSummary":
    """Run, and say at the first visit to each state what it does."""
    from townlet.dto.journal import VisitStarted
    from townlet.report import terminal

    show, sentences = orchestrator.listen, dict(SENTENCES)

    def listen(entry: "Entry") -> None:
        if isinstance(entry.record, VisitStarted) and (sentence := sentences.pop(entry.record.state, "")):
            terminal.say(f"\n{sentence}")
        show(entry)

    orchestrator.listen = listen
    return orchestrator.run()


def _advice(run: str, home: Path) -> Iterator[str]:
    """Yield a line for each thing to try now, with its command."""
    from townlet.store.hints import command_line

    for purpose, *words in (
        ("why each step was taken", "audit", "why", run),
        ("what is in force, and on which evidence", "registry", "history", "--run", run),
        ("whether anybody edited the run", "audit", "verify", run),
        ("files that act without Townlet", "export", run, "--bundle", "bundle"),
    ):
        yield f"  {purpose}: {command_line(*words, home=home)}"
    yield f"  another value: townlet check {SCHEDULE} --set states.ppo.with.learning_rate=3e-4"
    yield "  your own environment: townlet init --help"
