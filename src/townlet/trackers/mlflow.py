"""MLflow: a run with its metrics, and the registry's versions and aliases mirrored into MLflow's own."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.env.libraries import needed

with needed("mlflow", "sqlalchemy", "alembic", extra="mlflow"):
    from importlib.util import find_spec

    if find_spec("mlflow") is None:
        raise ModuleNotFoundError("mlflow", name="mlflow")

__all__ = ["MLflowTracker"]

_RUN, _VERSION, _WEIGHTS = "townlet.run", "townlet.version", "townlet.weights"
_STATUS = {"done": "FINISHED", "failed": "FAILED", "hold": "SCHEDULED"}
"""MLflow's word for how a run ended; a run that was aborted or stopped is KILLED."""
_MOST_METRICS, _MOST_PARAMETERS, _LONGEST_PARAMETER = 1000, 100, 500
"""Limits of one call, and of a value."""
_NOT_A_KEY = re.compile(r"[^\w./ :-]", re.ASCII)


class MLflowTracker:
    """Logs to a tracking server or a store of MLflow, by default ``HOME/mlflow.db``."""

    keeps_aliases = True

    def __init__(self, *, home: Path, uri: str = "", experiment: str = "") -> None:
        """Log to `uri`, or else to the address in ``MLFLOW_TRACKING_URI``.

        The `experiment` is named as the schedule where it is not given.
        """
        self._uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{home / 'mlflow.db'}"
        self._artifacts = (home / "mlartifacts").as_uri() if self._uri == f"sqlite:///{home / 'mlflow.db'}" else None
        self._experiment = experiment
        self._run = ""

    def open(self, run: TrackedRun) -> None:
        """Create the run, or find the one that an earlier process created."""
        client = self._client()
        name = self._experiment or run.name
        found = client.get_experiment_by_name(name)
        experiment = client.create_experiment(name, self._artifacts) if found is None else found.experiment_id
        same = client.search_runs([experiment], f"tags.`{_RUN}` = '{run.id}'", max_results=1)
        if same:
            self._run = same[0].info.run_id
            client.update_run(self._run, status="RUNNING")
            return
        tags = {_RUN: run.id, "townlet.rehearsal": str(run.rehearsal).lower(), "townlet.seed": str(run.seed)}
        self._run = client.create_run(experiment, run_name=run.id, tags=tags).info.run_id
        self._log_parameters(run)

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Log the metrics, as many at once as MLflow takes."""
        client, metrics = self._client(), list(_metrics(points))
        for first in range(0, len(metrics), _MOST_METRICS):
            client.log_batch(self._run, metrics=metrics[first : first + _MOST_METRICS])

    def move(self, move: AliasMove) -> None:
        """Register the version where MLflow does not have it, and let the alias name it."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            client.create_registered_model(move.policy)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = client.search_model_versions(f"name = '{move.policy}'")
        same = [each for each in versions if each.tags.get(_WEIGHTS) == move.weights]
        mirrored = same[0] if same else self._register(move)
        client.set_registered_model_alias(move.policy, move.alias, mirrored.version)
        client.set_model_version_tag(move.policy, mirrored.version, f"townlet.{move.alias}", move.reason)

    def close(self, state: str) -> None:
        """Say how the run ended."""
        client = self._client()
        client.set_tag(self._run, "townlet.state", state)
        client.set_terminated(self._run, _STATUS.get(state, "KILLED"))

    def _register(self, move: AliasMove) -> Any:
        """Store the weights with the run, and return a new version that names them."""
        client, source = self._client(), move.file.as_uri()
        if self._run:
            client.log_artifact(self._run, str(move.file), "policy")
            source = f"{client.get_run(self._run).info.artifact_uri}/policy/{move.file.name}"
        tags = {_WEIGHTS: move.weights, _VERSION: str(move.version)}
        return client.create_model_version(move.policy, source, self._run or None, tags=tags)

    def _log_parameters(self, run: TrackedRun) -> None:
        from mlflow.entities import Param

        parameters = [Param(_key(name), value[:_LONGEST_PARAMETER]) for name, value in run.parameters.items()]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self._client().log_batch(self._run, params=parameters[first : first + _MOST_PARAMETERS])

    def _client(self) -> Any:
        """Return a client; MLflow is imported here, in the tracker's thread, since that takes seconds."""
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return MlflowClient(self._uri, self._uri)


def _metrics(points: Sequence[TrackedPoint]) -> Iterator[Any]:
    """Yield the numbers of points as metrics of MLflow; each return of an episode is one of ``rollout/ep_rew``."""
    from mlflow.entities import Metric

    for point in points:
        moment = round(point.at * 1000)
        for name, value in point.numbers.items():
            yield Metric(_key(name), value, moment, point.step)
        for value in point.returns:
            yield Metric("rollout/ep_rew", value, moment, point.step)


def _key(name: str) -> str:
    """Return a name with MLflow's characters only."""
    return _NOT_A_KEY.sub("_", name)
