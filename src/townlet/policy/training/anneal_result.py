"""What a call from Python returns: the summary of a run, with its policy, its directory and its numbers as arrays."""

import html
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.codec import did_you_mean
from townlet.dto.policy import AnnealSummary
from townlet.errors import BadInputError
from townlet.machine.audit.snapshot import load_run
from townlet.policy.model.policy import Policy
from townlet.policy.model.weights import read_weights
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
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
        run = RunDirectory.at(self.directory)
        blobs = BlobStore(run.home(Path(".townlet")) / "blobs")
        digest = self.weights or load_run(run, blobs, catalogue()).state.candidate
        if digest is None:
            raise BadInputError(f"run {self.run} has trained no policy")
        weights = read_weights(blobs.get(digest), f"weights {digest[:12]}")
        return Policy(weights=weights, digest=digest, source=f"run {self.run}")

    def metrics(self, state: str) -> dict[str, NDArray[np.float64]]:
        """Return what each iteration of a state measured, as columns of equal length: step, agent_steps, value_loss, ….

        A number that an iteration lacks is NaN. BadInputError, with those there are, for a state without iterations.
        """
        path = self.directory / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be torn
        own = [{name: value for name, value in row.items() if name != "state"} for row in rows if row["state"] == state]
        if not own:
            states = tuple(dict.fromkeys(row["state"] for row in rows))
            known, hint = ", ".join(states) or "no state", did_you_mean(state, states) if states else ""
            raise BadInputError(f"no iterations of {state!r}{hint}; the run has those of {known}")
        names = dict.fromkeys(name for row in own for name in row)
        return {name: np.array([_number(row.get(name)) for row in own], np.float64) for name in names}

    def _repr_html_(self) -> str:
        """Return what `repr` shows, for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
