"""Learned policies as teachers: a saved model of Stable-Baselines3, and a policy that this project trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import townlet
from townlet.cli import run_command
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.errors import BadInputError
from townlet.ports import teacher_actions

pytestmark = [pytest.mark.torch, pytest.mark.long]
SCHEDULE = """\
schedule: townlet/v1
name: next
seed: 5
environment: {{id: "gymnasium:{environment}", worlds: 4}}
teacher: {teacher}
registry: {{name: next, scope: run}}
policies: {policies}
initial: capture
states:
  capture: {{strategy: capture, with: {{episodes: 4}}, next: [{{to: done}}]}}
"""


def write(folder: Path, teacher: str, environment: str = "CartPole-v1", policies: str = "{}") -> Path:
    """Write a schedule that records a teacher."""
    path = folder / "next.yaml"
    path.write_text(SCHEDULE.format(teacher=f'"{teacher}"', environment=environment, policies=policies))
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model that has learned for a moment."""
    import stable_baselines3

    folder = tmp_path_factory.mktemp("models")
    stable_baselines3.PPO("MlpPolicy", "CartPole-v1", n_steps=64, seed=1, device="cpu").learn(64).save(folder / "cart")
    stable_baselines3.PPO("MlpPolicy", "Pendulum-v1", use_sde=True, seed=1, device="cpu").save(folder / "smooth")
    stable_baselines3.SAC("MlpPolicy", "Pendulum-v1", seed=1, device="cpu").save(folder / "swing")
    return folder


@pytest.mark.parametrize(
    ("file", "environment", "algorithm"),
    [("cart", "CartPole-v1", "PPO"), ("swing", "Pendulum-v1", "SAC"), ("smooth", "Pendulum-v1", "PPO")],
)
def test_a_saved_model_teaches_what_it_predicts(saved: Path, file: str, environment: str, algorithm: str) -> None:
    """Action by action as its own library loads it."""
    import stable_baselines3

    from townlet.env.sb3_teacher import load_script

    provider = GymnasiumProvider(environment)
    description = provider.describe("default")
    seen = provider.make("default", worlds=6, seed=2, max_steps=50).reset()
    teacher = provider.teacher_of(load_script(saved / f"{file}.zip", description))
    chosen = teacher_actions(teacher, seen, description.actions)[:, 0]
    model: Any = getattr(stable_baselines3, algorithm).load(saved / file, device="cpu")
    expected = model.predict(seen.observations[:, 0], deterministic=True)[0].reshape(6, -1)
    own = chosen if not description.actions.box else description.actions.to_native(chosen)
    assert np.allclose(expected, own, atol=1e-5)


def test_a_run_records_it_where_that_is_allowed(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds code: without permission a sentence names the flag."""
    path = write(saved, "sb3:cart.zip")
    words = ["run", str(path), "--home", str(tmp_path / "home")]
    assert 2 == run_command(words)
    assert "--allow-import stable_baselines3" in capsys.readouterr().err
    assert 0 == run_command([*words, "--allow-import", "stable_baselines3"])


@pytest.mark.parametrize(
    ("teacher", "environment", "message"),
    [
        ("sb3:cart.zip", "Pendulum-v1", "was made for observations"),
        ("sb3:next.yaml", "CartPole-v1", "cannot be loaded"),
        ("sb3:nowhere.zip", "CartPole-v1", "cannot be loaded"),
        ("policy:old", "CartPole-v1", r"there is no 'old' under policies .*sha256: DIGEST"),
    ],
)
def test_what_does_not_fit_is_named(saved: Path, tmp_path: Path, teacher: str, environment: str, message: str) -> None:
    """Before anything is written."""
    with pytest.raises(BadInputError, match=message):
        townlet.run(write(saved, teacher, environment), home=tmp_path / "home", allow_imports=["stable_baselines3"])
    assert not (tmp_path / "home").exists()


def test_a_policy_of_an_earlier_run_becomes_the_next_teacher(tmp_path: Path) -> None:
    """By its digest: the home has the weights."""
    home = tmp_path / "home"
    first = townlet.anneal(environment="CartPole-v1", teacher="balance", rehearse=True, home=home)
    digest = first.policy.digest
    second = townlet.run(write(tmp_path, "policy:old", policies=f"{{old: {{sha256: {digest}}}}}"), home=home)
    assert "done" == second.state
    with pytest.raises(BadInputError):
        townlet.run(write(tmp_path, "policy:old", policies=f"{{old: {{sha256: {'0' * 64}}}}}"), home=home)
