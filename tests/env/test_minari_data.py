"""Local data sets of Minari as demonstrations: real ones, written by Minari, in its own format."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from townlet.cli import run_command
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.errors import BadInputError
from townlet.ports import RecordedEpisode

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

from minari.data_collector import EpisodeBuffer  # noqa: E402 - after the skip where it is not installed

NAME = "corridor/walk-v0"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:minari")


class Walk(gymnasium.Env[Any, Any]):
    """Shows a Dict with a mask, takes a Dict of a choice and a number, and ends after five steps."""

    observation_space = spaces.Dict(
        {
            "action_mask": spaces.MultiBinary(3),
            "place": spaces.Discrete(4, start=1),
            "speed": spaces.Box(-9, 9, (2,), np.float64),
        }
    )
    action_space = spaces.Dict({"move": spaces.Discrete(3, start=-1), "force": spaces.Box(-2, 5, (1,), np.float32)})

    def look(self) -> dict[str, Any]:
        """Forbid the last move at the third step."""
        mask = np.array([1, 1, self.clock != 2], np.int8)
        return {"action_mask": mask, "place": 1 + self.clock % 4, "speed": np.array([self.clock, -0.5])}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin."""
        super().reset(seed=seed)
        self.clock = 0
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go on."""
        self.clock += 1
        return self.look(), float(self.clock), self.clock == 5, False, {}


PROVIDER = GymnasiumProvider(name="walks:make", factory=Walk)


def walk(observation: Any) -> Any:
    """Make the last legal move, with a force that depends on the place."""
    move = int(np.flatnonzero(observation["action_mask"])[-1]) - 1
    return {"move": move, "force": np.array([6.5 - 2 * observation["place"]], np.float32)}


def balance(observation: Any) -> int:
    """Push towards the side to which the pole falls."""
    return int(observation[2] + 0.5 * observation[3] > 0)


Writer = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Return what writes a data set of an environment, the last of its two episodes changed."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))

    def make(environment: Any = None, act: Callable[[Any], Any] = walk, **changes: Any) -> None:
        environment = environment or Walk()
        plain = episode(environment, act)
        last = {name: changes.get(name, values) for name, values in plain.items()}
        spoilt = [EpisodeBuffer(id=number, **columns) for number, columns in enumerate((plain, last))]
        minari.create_dataset_from_buffers(NAME, buffer=spoilt, env=environment)

    return make


def episode(environment: Any, act: Callable[[Any], Any], seed: int = 3) -> dict[str, Any]:
    """Play an episode, and return it as Minari writes it: one observation more than steps."""
    observation, _ = environment.reset(seed=seed)
    seen, actions, columns, is_over = [observation], list[Any](), list[Any](), False
    while not is_over:
        actions.append(act(observation))
        observation, *rest, _ = environment.step(actions[-1])
        is_over = rest[1] or rest[2]
        seen.append(observation)
        columns.append(rest)
    rewards, terminations, truncations = (list(column) for column in zip(*columns, strict=True))
    return {
        "observations": stacked(seen), "actions": stacked(actions), "rewards": rewards,
        "terminations": terminations, "truncations": truncations, "infos": {},
    }  # fmt: skip


def stacked(values: list[Any]) -> Any:
    """Return values of a space as one structure of arrays."""
    if isinstance(values[0], dict):
        return {key: stacked([each[key] for each in values]) for key in values[0]}
    return np.stack(values)


def recorded(provider: GymnasiumProvider = PROVIDER) -> tuple[RecordedEpisode, ...]:
    """Return the episodes, the digest taken from the refusal that names it."""
    with pytest.raises(BadInputError, match=r"another digest: found [0-9a-f]{64}, expected 0") as caught:
        provider.recorded(NAME, "0")
    return provider.recorded(NAME, str(caught.value).split("found ")[1][:64])


def test_an_episode_is_what_capture_would_have_seen(write: Writer) -> None:
    """Features, masks and columns are those of the environment's own adapter; the last observation is left out."""
    write()
    played, _ = recorded()
    environment = PROVIDER.make("default", worlds=1, seed=0, max_steps=9)
    seen = environment.reset()
    for t in range(5):
        assert np.array_equal(seen.observations[0, 0], played.observations[t])
        assert np.array_equal(seen.action_mask[0, 0], played.action_mask[t])
        step = environment.step(played.actions[None, None, t])
        assert step.rewards[0, 0] == played.rewards[t]
        seen = step.observations
    assert played.is_terminated
    assert [False] == played.action_mask[2, 2:].tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": [1.0, np.nan, 1.0, 1.0, 1.0]}, "episode 1, step 1: the reward is nan; expected a number"),
        ({"rewards": [1.0] * 4}, "episode 1: "),
        (
            {"actions": {"move": np.ones(5, np.int64), "force": np.zeros((5, 1), np.float32)}},
            r"episode 1, step 2: action \[2.0, .*\] is forbidden by action_mask",
        ),
        (
            {"actions": {"move": np.full(5, 7), "force": np.zeros((5, 1), np.float32)}},
            r"episode 1, step 0: action \[8.0, .*\] is not in the space",
        ),
    ],
)
def test_an_episode_that_cannot_have_been_played_is_named(changes: dict[str, Any], message: str, write: Writer) -> None:
    """With its number, the step, and what was found."""
    write(**changes)
    with pytest.raises(BadInputError, match=f"Minari data set {NAME}, {message}"):
        recorded()


def test_a_data_set_of_other_spaces_is_refused(write: Writer) -> None:
    """The sentence names both sides' spaces."""
    write(gymnasium.make("CartPole-v1"), balance)
    with pytest.raises(
        BadInputError, match=r"was recorded with observations Box.*walks:make has observations place: Discrete"
    ):
        recorded()


@pytest.mark.parametrize(
    ("name", "message"), [("none/there-v0", "nothing lies in .*minari download none/there-v0"), ("../x", "Malformed")]
)
def test_a_data_set_that_is_not_there_is_named(name: str, message: str, write: Writer) -> None:
    """Nothing is downloaded, and no path leads out of Minari's folder."""
    with pytest.raises(BadInputError, match=message):
        PROVIDER.recorded(name, "0")


def test_no_environment_is_made_to_read_a_data_set(write: Writer, tmp_path: Path) -> None:
    """One that does not state its spaces would be made, which imports whatever module it names."""
    write()
    facts = tmp_path / "sets" / NAME / "data" / "metadata.json"
    kept = json.loads(facts.read_text())
    del kept["action_space"]
    facts.write_text(json.dumps(kept))
    with pytest.raises(BadInputError, match="cannot be read: ValueError: its metadata has no action_space"):
        recorded()


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "demonstrations.md"
OFFLINE = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
"""The schedule of the how-to."""
BAR = PAGE.read_text().split("```yaml\n")[2].split("```")[0]
"""Its second piece: baselines and a guard."""


def test_a_data_set_takes_the_place_of_a_teacher(
    write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` names the digest and what a first run cannot compare; the run clones, is judged and promotes."""
    environment = gymnasium.make("CartPole-v1", max_episode_steps=60)
    played = [EpisodeBuffer(id=seed, **episode(environment, balance, seed)) for seed in range(30)]
    minari.create_dataset_from_buffers("cartpole/script-v0", buffer=played, env=environment)
    path, words = tmp_path / "offline.yaml", ["--home", str(tmp_path / "home")]
    short = OFFLINE.replace("worlds: 32", "worlds: 8, max_steps: 60").replace("[48, 192]", "[20]")
    path.write_text(short.replace("size: 256", "size: 64"))
    assert 0 != run_command(["check", str(path)])
    said = capsys.readouterr().err
    assert "state 'bc': Minari data set cartpole/script-v0: the data set has another digest: found " in said
    path.write_text(path.read_text().replace('"0"', said.split("found ")[1][:64]))
    assert 0 == run_command(["check", str(path)])
    assert "a first run" in capsys.readouterr().err
    assert 0 == run_command(["run", str(path), *words])
    done = capsys.readouterr()
    assert "pass      good: evaluate.return_per_episode 60 is at least 50" in done.err
    assert "in force: offline@champion is version 1" in done.out


def lean(observation: Any) -> int:
    """Push towards the side on which the pole is; it falls after some forty steps."""
    return int(observation[2] > 0)


GUARD, RECORDED = "guards: -> guards:\n  a: {metric: evaluate.", "baseline: recorded, absolute: 0"


def recorded_bar(digest: str) -> str:
    """Return the how-to's schedule with the data set as the bar that a first policy is held to."""
    # The clone is no better than the recording; how close it comes in 20 episodes depends on the processor's last bits.
    bar = BAR.replace("…", digest).replace("relative: 5%", "relative: 25%")
    text = OFFLINE.replace("baselines: {champion: {alias: champion}}", "").replace('"0"', f'"{digest}"')
    text = re.sub(r"  better: .*\n", "", text).replace("guards:\n", f"{bar}\n").replace("size: 256", "size: 64")
    text = text.replace("[{to: promote, when: [good]}, {to: promote, when: [better]}, {to: done}]",
                        "[{to: promote, when: [as_good]}, {to: done}]")  # fmt: skip
    text = text.replace("  good: {metric: evaluate.return_per_episode, at_least: 50}\n", "")
    return text.replace("with: {unproven: true}, ", "").replace("[48, 192]", "[20]").replace("worlds: 32", "worlds: 8")


def record() -> str:
    """Record 30 episodes of a leaning controller, and return their digest."""
    environment = gymnasium.make("CartPole-v1")
    played = [EpisodeBuffer(id=seed, **episode(environment, lean, seed)) for seed in range(30)]
    minari.create_dataset_from_buffers("cartpole/script-v0", buffer=played, env=environment)
    with pytest.raises(BadInputError, match="another digest") as caught:
        GymnasiumProvider(name="CartPole-v1").recorded("cartpole/script-v0", "0")
    return str(caught.value).split("found ")[1][:64]


def test_a_data_set_is_the_bar_of_a_first_policy(
    write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clone is compared with the recorded returns, unpaired; `audit replay` derives the verdict again."""
    path, words = tmp_path / "bar.yaml", ["--home", str(tmp_path / "home")]
    digest = record()
    path.write_text(recorded_bar(digest))
    assert 0 == run_command(["run", str(path), *words])
    done = capsys.readouterr()
    (line,) = [line for line in done.err.splitlines() if "as_good: evaluate.return_per_episode" in line]
    assert f"champion (data:{digest[:12]})" in line
    assert "unpaired, 20 episodes against 30 recorded, look 1 of 1" in line
    assert "in force: offline@champion is version 1" in done.out
    assert 0 == run_command(["audit", "replay", "latest", *words])
    assert 0 == run_command(["registry", "history", "--wide", *words])
    assert "20 and 30" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "recorded: {data: {minari: cartpole/script-v0 -> recorded: {data: {manifest: a.yaml",
            "a data set of Minari",
        ),
        (
            f"{GUARD}success, better_by: {{{RECORDED}}}, evidence: full}}",
            "recorded episodes tell return_per_episode and",
        ),
        (f"{GUARD}return_per_episode, better_by: {{{RECORDED}}}}}", "compared by their mean, with confidence"),
        (
            f"{GUARD}return_per_episode, share_worse: {{{RECORDED}, at_most: 50%}}, evidence: full}}",
            "compared by their mean, with confidence",
        ),
        ("max_steps: 500 -> max_steps: 20", "decisions, and an episode of the evidence at most 20"),
    ],
)
def test_what_recorded_episodes_do_not_tell_is_refused(
    write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, sentence: str
) -> None:
    """They have returns and lengths, no pairs, and their own number of decisions."""
    text = recorded_bar(record()).replace("[20], ", "[20], max_steps: 500, ")
    old, _, new = change.partition(" -> ")
    assert 1 == text.count(old)
    (tmp_path / "bar.yaml").write_text(text.replace(old, new))
    assert 2 == run_command(["check", str(tmp_path / "bar.yaml")])
    assert sentence in capsys.readouterr().err


def test_a_first_run_says_what_its_data_set_does_not_tell(
    write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A KPI from infos has no recorded value that could stand in for a champion's."""
    text = recorded_bar(record()).replace("worlds: 8", "worlds: 8, metrics: {cost: {info: cost, direction: lower}}")
    guard = "{metric: evaluate.cost, not_worse_than: {baseline: champion, absolute: 1}, evidence: full}"
    (tmp_path / "bar.yaml").write_text(text.replace("guards:", f"guards:\n  cheap: {guard}"))
    assert 0 == run_command(["check", str(tmp_path / "bar.yaml")])
    assert "cheap: compared with champion; in a first run a data set takes its place" in capsys.readouterr().err
