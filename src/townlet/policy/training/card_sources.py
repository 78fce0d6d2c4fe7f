"""Find what a model card and a bundle are made from: the weights that a word names, and the run that made them."""

import logging
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from townlet.dto.model_card import CardPolicy
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.run_data import RunData
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.training.policy_references import resolve
from townlet.store.rundir import RunDirectory

__all__ = ["LearnedSource", "card_policy", "find_learned", "run_of_policy"]

_LOG = logging.getLogger("townlet")


@frozen(kw_only=True)
class LearnedSource:
    """Learned weights, and where they come from."""

    digest: str
    """SHA-256 of the weights file."""
    data: bytes
    """The weights file."""
    weights: Weights
    """What it holds."""
    run: RunData | None
    """The run that made them; None where no run of the home ever had them."""


def find_learned(word: str, home: Path, catalogue: StrategyCatalogue) -> LearnedSource:
    """Return the learned weights that a word of the command line names; BadInputError for a script, and for nothing."""
    reference = resolve(word, home, catalogue)
    if reference.teacher is not None:
        raise BadInputError(
            f"{word!r} is a script; name learned weights: a run, NAME@ALIAS, a weights file or a digest"
        )
    return LearnedSource(
        digest=reference.digest,
        data=reference.weights,
        weights=read_weights(reference.weights, reference.source),
        run=run_of_policy(word, reference.digest, home, catalogue),
    )


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
