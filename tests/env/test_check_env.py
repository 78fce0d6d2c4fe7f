"""`townlet check --env`: what an environment does, thing by thing, with advice; before anybody writes a schedule."""

import json
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from townlet.cli import run_command


class Sound(gymnasium.Env[Any, Any]):
    """Walks on a line until a goal; its info tells what the way cost."""

    observation_space = spaces.Box(-99, 99, (2,), np.float64)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin near the middle."""
        super().reset(seed=seed)
        self.x, self.seen = float(self.np_random.uniform(-1, 1)), np.zeros(2)
        return self.look(), {}

    def look(self) -> Any:
        """Return the place, and a number that never changes."""
        return np.array([self.x, 7.0])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go left or right."""
        self.x += 1.0 if action else -1.0
        return self.look(), float(self.x > 4), bool(self.x > 4), False, {"cost": abs(self.x), "is_success": self.x > 4}


class Unseeded(Sound):
    """Draws from a generator that nobody seeds."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin anywhere."""
        super().reset(seed=seed)
        self.x = float(np.random.default_rng().uniform(-1, 1))
        return self.look(), {}


class Rewriting(Sound):
    """Hands out one array again and again."""

    def look(self) -> Any:
        """Write into the array of before."""
        self.seen[:] = self.x, 7.0
        return self.seen


class Noisy(Sound):
    """Prints, warns, and moves numpy's global generator."""

    def look(self) -> Any:
        """Do what an environment should not do."""
        print("walking")  # noqa: T201 - that it prints is the point
        warnings.warn("deep water", UserWarning, stacklevel=1)
        np.random.random()  # noqa: NPY002 - that it is the global one is the point
        return super().look()


class NotANumber(Sound):
    """Shows NaN after some decisions."""

    def look(self) -> Any:
        """Return what nobody can learn from."""
        return np.array([np.nan if abs(self.x) > 2 else self.x, 7.0])


for _kind in (Sound, Unseeded, Rewriting, Noisy, NotANumber):
    gymnasium.register(f"townlet-test/{_kind.__name__}-v0", entry_point=_kind, max_episode_steps=40)


def probed(capsys: pytest.CaptureFixture[str], name: str, *words: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """Return what is found and advised, by thing."""
    assert code == run_command(["check", "--env", f"gymnasium:townlet-test/{name}-v0", "--json", *words])
    rows = json.loads(capsys.readouterr().out)["rows"]
    return {row["what"]: (row["found"], row["advice"]) for row in rows}


def test_a_sound_environment_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    """Spaces, limit, KPIs that its infos could give, success, constant features, speed, random play."""
    rows = probed(capsys, "Sound")
    assert "2: observation[0], observation[1]" == rows["features"][0]
    assert "one choice of 2" == rows["actions"][0]
    assert "40 decisions an episode" == rows["limit"][0]
    assert "equal seeds give equal episodes" in rows["seeds"][0]
    assert "metrics: {cost: {info: cost, direction: lower}}" in rows["infos"][1]
    assert "infos say is_success" == rows["success"][0]
    assert "observation[1]" in rows["constant features"][0]
    assert "decisions a second" in rows["speed"][0]
    assert "± " in rows["random play"][0]
    assert "name one with --teacher" in rows["teacher"][1]
    assert not {"arrays", "global state", "output", "warnings"} & set(rows)


def test_a_seed_that_is_not_obeyed_is_named_with_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    """Unpaired evidence, nothing resumable."""
    assert "evidence is unpaired now" in probed(capsys, "Unseeded")["seeds"][1]


def test_an_array_that_is_written_into_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It is copied here; other programs are not so lucky."""
    assert "is written into after it was returned" in probed(capsys, "Rewriting")["arrays"][0]


@pytest.mark.filterwarnings("ignore:deep water")
def test_prints_warnings_and_the_global_generator_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """And the JSON stays one document."""
    rows = probed(capsys, "Noisy")
    assert "numpy's global generator changed" in rows["global state"][0]
    assert "walking" in rows["output"][0]
    assert "deep water" in rows["warnings"][0]


def test_an_environment_that_a_run_would_refuse_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """With the place of the number that is none."""
    rows = probed(capsys, "NotANumber", code=2)
    assert any("is not finite in world" in found for found, _ in rows.values())


def test_a_teacher_is_compared_with_random_play(capsys: pytest.CaptureFixture[str]) -> None:
    """In the same episodes."""
    assert 0 == run_command(["check", "--env", "gymnasium:CartPole-v1", "--teacher", "balance"])
    assert "better than random play by" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected a schedule or --env ID, found neither"),
        (("cartpole", "--env", "town"), "found both"),
        (("cartpole", "--teacher", "balance"), "belong to --env"),
        (("--env", "gymnasium:CartPole-v1", "--teacher", "balanse"), "did you mean 'balance'"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence."""
    assert 2 == run_command(["check", *words])
    assert message in capsys.readouterr().err
