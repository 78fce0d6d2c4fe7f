"""What a call from Python returns: the summary of a run, with its policy, its directory and its numbers as arrays."""

import html
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.policy import AnnealSummary
from townlet.errors import BadInputError
from townlet.machine.audit.metric_stream import metric_columns, read_metric_stream
from townlet.policy.model.policy import Policy
from townlet.policy.model.weights import read_weights
from townlet.policy.training.open_run import open_run
from townlet.store.rundir import RunDirectory

__all__ = ["AnnealResult"]


@attrs.frozen(kw_only=True, repr=False)
class AnnealResult(AnnealSummary):
    """The summary of a run that knows where the run is; `model_dump` and `repr` are those of the summary."""

    @classmethod
    def of(cls, summary: AnnealSummary) -> "AnnealResult":
        """Return the result of a summary."""
        return cls(**{field.name: getattr(summary, field.name) for field in attrs.fields(AnnealSummary)})

    @property
    def directory(self) -> Path:
        """The run directory."""
        return Path(self.path)

    @property
    def policy(self) -> Policy:
        """The policy that the run ended with: what was promoted, else its last candidate.

        BadInputError for a run that trained none.
        """
        run = open_run(self.directory)
        digest = self.weights or run.state.candidate
        if digest is None:
            raise BadInputError(f"run {self.run} has trained no policy")
        weights = read_weights(run.blobs.get(digest), f"weights {digest[:12]}")
        return Policy(weights=weights, digest=digest, source=f"run {self.run}")

    def metrics(self, state: str) -> dict[str, NDArray[np.float64]]:
        """Return what each iteration of a state measured, as columns of equal length: step, agent_steps, value_loss, ….

        A number that an iteration lacks is NaN. BadInputError, with those there are, for a state without iterations.
        `townlet.open_run(result.directory)` has all other numbers.
        """
        return metric_columns(read_metric_stream(RunDirectory.at(self.directory).metrics), state)

    def _repr_html_(self) -> str:
        """Return what `repr` shows, for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"
