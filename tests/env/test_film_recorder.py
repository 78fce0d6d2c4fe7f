"""An environment that draws itself is recorded as a strip of pictures that fits a page; others are not."""

import base64
from io import BytesIO
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from townlet.dto.recording import EpisodeRecording
from townlet.env import film_recorder
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.policy.evaluation.comparison import NamedPolicy
from townlet.policy.evaluation.episodes import play
from townlet.policy.evaluation.recording import played_episode

WRONG = {"text": "a picture", "flat": np.zeros((4, 4), np.uint8), "float": np.zeros((4, 4, 3)), "nothing": None}
"""What is no picture, by name."""


class Painter(gymnasium.Env[Any, Any]):
    """Draws the number of its decisions as a grey level."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (as Gymnasium's own environments have it)
    observation_space = spaces.Box(0.0, 1000.0, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None, length: int = 10, wrong: str | None = None) -> None:
        self.render_mode, self.length, self.wrong, self.count = render_mode, length, wrong, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew."""
        super().reset(seed=seed)
        self.count = 0
        return np.array([self.np_random.integers(9)], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Count."""
        self.count += 1
        return np.array([self.count], np.float32), 1.0, self.count == self.length, False, {}

    def render(self) -> Any:
        """Return a grey picture."""
        return np.full((600, 800, 3), self.count, np.uint8) if self.wrong is None else WRONG[self.wrong]


class Blind(Painter):
    """Draws nothing."""

    metadata = {"render_modes": []}  # noqa: RUF012


def recorded(kind: Any, every: int | None = None, **arguments: Any) -> EpisodeRecording:
    """Return a recording of an environment."""
    provider = GymnasiumProvider("painter", arguments=arguments, factory=kind, max_steps=1000)
    named = NamedPolicy(name="teacher:still", policy=provider.teacher_of(lambda _: 0))
    with played_episode(
        provider, "default", named, source="still", seed=1, max_steps=1000, episode=0, every=every
    ) as played:
        return played.recording()


def test_every_decision_has_a_picture_where_they_are_few() -> None:
    """The beginning and the end are among them; a picture keeps its proportions and its colours."""
    film = recorded(Painter).film
    assert film is not None
    assert tuple(range(11)) == film.decisions
    picture = Image.open(BytesIO(base64.b64decode(film.pictures[-1]))).convert("RGB")

    assert ((360, 270), "image/webp") == ((film.width, film.height), film.media_type)
    assert 10 == pytest.approx(np.asarray(picture).mean(), abs=2)


def test_pictures_thin_out_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second one goes, again and again; the last moment stays."""
    monkeypatch.setattr(film_recorder, "_MOST_PICTURES", 6)
    film = recorded(Painter, length=23).film
    assert film is not None

    assert (0, 8, 16, 23) == film.decisions


def test_a_person_chooses_the_distance_of_pictures() -> None:
    """Nothing is dropped then; too many are refused with what to do."""
    film = recorded(Painter, every=4).film
    assert film is not None

    assert (0, 4, 8, 10) == film.decisions
    with pytest.raises(BadInputError, match="every is 0; expected 1 decision or more"):
        recorded(Painter, every=0)


def test_a_strip_that_no_page_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a person asked for so many pictures."""
    monkeypatch.setattr(film_recorder, "MOST_CHARACTERS", 1000)
    with pytest.raises(BadInputError, match="ask for fewer with --every"):
        recorded(Painter, every=1)
    film = recorded(Painter).film
    assert film is not None
    assert film.size <= 2000


def test_an_environment_that_draws_nothing_is_recorded_as_curves() -> None:
    """The reward and the first observations; the KPIs are those of any evaluation."""
    recording = recorded(Blind)
    provider = GymnasiumProvider("painter", factory=Blind, max_steps=1000)
    counted = play(
        provider, "default", provider.teacher_of(lambda _: 0), seed=1, max_steps=1000, first=0, count=2
    )  # fmt: skip

    assert (None, None) == (recording.film, recording.town)
    assert [0.0, *[1.0] * 10] == recording.curves.columns[0].values()[:, 0].tolist()
    assert [counted.ratios(index)[0] for index in range(len(recording.kpis))] == [kpi.value for kpi in recording.kpis]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_picture_is_named(wrong: str) -> None:
    """The message says what was returned and what is expected."""
    with pytest.raises(EnvironmentFaultError, match=r"render returned .* expected a picture"):
        recorded(Painter, wrong=wrong)


def test_rendering_changes_no_kpi() -> None:
    """The film shows the episode that is counted without it."""
    values = [kpi.value for kpi in recorded(Painter).kpis]

    assert values == [kpi.value for kpi in recorded(Blind).kpis]
