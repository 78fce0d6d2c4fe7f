"""Find what a model card is made from: the form of a policy, and the run that made it."""

import logging
from contextlib import suppress
from pathlib import Path

from townlet.dto.model_card import CardPolicy
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.run_data import RunData
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.model.weights import Weights
from townlet.store.rundir import RunDirectory

__all__ = ["card_policy", "run_of_policy"]

_LOG = logging.getLogger("townlet")


def card_policy(weights: Weights, digest: str) -> CardPolicy:
    """Return the form of a policy."""
    return CardPolicy(
        digest=digest,
        features=weights.metadata.features,
        outputs=weights.spec.outputs,
        hidden=tuple(len(bias) for _, bias in weights.actor[:-1]),
        signature=weights.metadata.environment,
    )


def run_of_policy(word: str, digest: str, home: Path, catalogue: StrategyCatalogue) -> RunData | None:
    """Return the run that a card of the weights `digest` speaks of; None where no run of the home ever had them.

    That is the run that `word` names, where it had them; else the youngest that promoted them, else the youngest that
    had them. A run that is damaged is passed over with a warning.
    """
    named = []
    with suppress(BadInputError):
        named = [RunDirectory.find(home, word)]
    had: RunData | None = None
    for directory in (*named, *reversed(RunDirectory.every(home))):
        try:
            run = RunData.read(directory, home, catalogue)
            results = [visit.result for visit in run.visits]
        except (BadInputError, JournalBrokenError) as error:
            _LOG.warning("run %s is passed over: %s", directory.id, error)
            continue
        if any(result is not None and result.weights == digest for result in results):
            if directory in named or run.promoted(digest):
                return run
            had = had or run
    return had
