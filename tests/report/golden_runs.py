"""What a report says of the golden home of an earlier version, whose environment is the tests' corridor."""

from pathlib import Path

from corridor import CorridorProvider

import townlet
from townlet.machine.audit.report_facts import ReportFacts, report_facts

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


def facts_of(home: Path) -> ReportFacts:
    """Return what a report says of the home's last run."""
    run = townlet.open_run("latest", home=home)
    return report_facts(run, lambda spec: CorridorProvider().describe(spec.scenario))
