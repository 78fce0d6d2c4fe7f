"""The learning curves and evaluations of a report as panels with captions."""

from collections.abc import Iterator

from attrs import frozen
from markupsafe import Markup

from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.html.drawing.curves import curve_panel, whisker_panel
from townlet.report.run_curves import MEANINGS, evaluation_whiskers, learning_curves, look_sentence, objective_unit

__all__ = ["Panel", "evaluation_panels", "learning_panels"]


@frozen
class Panel:
    """A drawing with its name and caption."""

    title: str
    """What it shows."""
    drawing: Markup
    """The drawing."""
    caption: str
    """What is to be seen in it."""


def learning_panels(facts: ReportFacts) -> Iterator[Panel]:
    """Yield a panel for each number that iterations of a state report."""
    for state, curve in learning_curves(facts):
        picture = curve_panel(curve)
        if picture:
            notes = [MEANINGS.get(curve.name, "")]
            if curve.bounds:
                notes.append(look_sentence([look for look in facts.looks if look.state == state]))
            notes += ["dashed lines begin another visit"] if curve.starts else []
            notes += ["shaded: the hand-off, in which the actor does not learn at its full rate"] if curve.bands else []
            text = "; ".join(filter(None, notes))
            yield Panel(f"{state}: {curve.name}", picture, f"{text[:1].upper()}{text[1:]}." if text else "")


def evaluation_panels(facts: ReportFacts) -> Iterator[Panel]:
    """Yield the objective's difference from each baseline at every evaluation."""
    metric, whiskers = evaluation_whiskers(facts)
    for baseline, each in whiskers.items():
        title = f"{metric}: candidate − {baseline}"
        caption = "Mean difference at each evaluation, with its two-sided 95% interval; the line is no difference."
        yield Panel(title, whisker_panel(title, each, objective_unit(facts)), caption)
