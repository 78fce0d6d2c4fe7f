"""MLflow with a real SQLite store holds the run, its metrics, the versions and the aliases."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from recorder import RUN, move, point

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")

from attrs import evolve
from mlflow import MlflowClient

from townlet.trackers.mlflow import MLflowTracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store without runs; MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("store")
    client(folder).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with an empty store, in an environment without a tracking server."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_store, tmp_path)
    return tmp_path


def client(home: Path) -> MlflowClient:
    """Return MLflow's own client of the store in a home."""
    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def run_of(home: Path) -> Any:
    """Return the only run of the experiment `town`."""
    (run,) = client(home).search_runs([client(home).get_experiment_by_name("town").experiment_id])
    return run


def weights(home: Path, name: str) -> Path:
    """Return a file that stands for weights."""
    path = home / name
    path.write_bytes(name.encode())
    return path


def test_metrics_parameters_and_end_are_there(home: Path) -> None:
    """Each number is a metric at its step, each return of an episode one too; NaN is kept."""
    tracker = MLflowTracker(home=home)
    tracker.open(RUN)
    tracker.log([point(100, returns=(1.5, 2.5)), point(200), point(300, train__value_loss=float("nan"))])
    tracker.close("done")

    run = run_of(home)
    history = client(home).get_metric_history(run.info.run_id, "train/value_loss")
    assert [(100, 0.5), (200, 0.5)] == [(each.step, each.value) for each in history[:2]]
    assert history[2].value != history[2].value
    episodes = client(home).get_metric_history(run.info.run_id, "rollout/ep_rew")
    assert [1.5, 2.5] == sorted(each.value for each in episodes)
    assert ("FINISHED", "done", "0.99") == (
        run.info.status, run.data.tags["townlet.state"], run.data.params["states.ppo.with.gamma"]
    )  # fmt: skip


def test_a_resumed_run_is_the_same_run(home: Path) -> None:
    """A second process goes on with the run of the first; MLflow shows one."""
    first = MLflowTracker(home=home)
    first.open(RUN)
    first.log([point(100)])
    first.close("stopped")
    assert "KILLED" == run_of(home).info.status
    second = MLflowTracker(home=home)
    second.open(evolve(RUN, continued=True))
    second.log([point(200)])
    second.close("hold")

    run = run_of(home)
    history = client(home).get_metric_history(run.info.run_id, "train/value_loss")
    assert ([100, 200], "SCHEDULED") == ([each.step for each in history], run.info.status)


def test_an_alias_moves_forth_and_back(home: Path) -> None:
    """Two promotions are two versions with their weights; a rollback without a run names the first again."""
    tracker = MLflowTracker(home=home)
    tracker.open(RUN)
    tracker.move(move(1, weights(home, "one")))
    tracker.move(move(2, weights(home, "two")))
    tracker.close("done")
    store = client(home)
    assert "2" == str(store.get_model_version_by_alias("town", "champion").version)
    source = store.get_model_version_by_alias("town", "champion").source
    assert b"two" == Path(source.removeprefix("file://")).read_bytes()

    MLflowTracker(home=home).move(move(1, weights(home, "one")))
    champion = store.get_model_version_by_alias("town", "champion")
    assert ("1", f"{1:064x}") == (str(champion.version), champion.tags["townlet.weights"])
    assert 2 == len(store.search_model_versions("name = 'town'"))


def test_names_that_mlflow_refuses_are_changed(home: Path) -> None:
    """A KPI may have any name; a metric of MLflow may not."""
    tracker = MLflowTracker(home=home)
    tracker.open(RUN)
    tracker.log([evolve(point(1), numbers={"evaluate/waiting (min) ü": 1.0})])

    assert ["evaluate/waiting _min_ _"] == list(run_of(home).data.metrics)


def test_more_numbers_than_one_call_takes_arrive(home: Path) -> None:
    """MLflow takes 1,000 metrics at once; a batch of points may hold more."""
    tracker = MLflowTracker(home=home)
    tracker.open(RUN)
    tracker.log([point(step, returns=(float(step),) * 3) for step in range(400)])

    run = run_of(home)
    assert 400 == len(client(home).get_metric_history(run.info.run_id, "train/value_loss"))
    assert 399.0 == max(e.value for e in client(home).get_metric_history(run.info.run_id, "rollout/ep_rew"))
