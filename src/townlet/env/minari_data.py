"""Local data sets of Minari as recorded episodes: spaces, lengths and every number are checked."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.env.libraries import needed
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, RecordedEpisode

with needed("minari", "h5py", "PIL", extra="minari"):
    from minari import MinariDataset
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.dataset.minari_storage import MinariStorage
    from minari.storage import get_dataset_path

with needed("gymnasium", extra="env"):
    from townlet.env.spaces import MASK, layouts_of
    from townlet.layouts import Layouts

__all__ = ["read_minari"]

_SPACES = ("observation_space", "action_space")


def read_minari(
    name: str, digest: str, layouts: Layouts, description: EnvironmentDescription
) -> tuple[RecordedEpisode, ...]:
    """Return the episodes of a local data set such as ``D4RL/door/human-v2``; nothing is downloaded.

    BadInputError where it is missing, where its digest is another, and where it does not fit the environment; for an
    episode that is unfit it names the episode, the step and what was found.
    """
    where = f"Minari data set {name}"
    folder = _folder(name, where)
    found = _digest(folder)
    if found != digest:
        raise BadInputError(f"{where}: the data set has another digest: found {found}, expected {digest}")
    data = _opened(folder, where)
    _check_spaces(data, layouts, description, where)
    episodes = tuple(
        _episode(episode, layouts, f"{where}, episode {episode.id}") for episode in data.iterate_episodes()
    )
    if not episodes:
        raise BadInputError(f"{where}: it holds no episode")
    return episodes


def _folder(name: str, where: str) -> Path:
    """Return where a data set lies; BadInputError for a name that is none, and where nothing lies there."""
    try:
        parse_dataset_id(name)
    except ValueError as error:
        raise BadInputError(f"{where}: {error}") from error
    folder = get_dataset_path(name) / "data"
    if not folder.is_dir():
        raise BadInputError(f"{where}: nothing lies in {folder}; download it with: minari download {name}")
    return Path(folder)


def _digest(folder: Path) -> str:
    """Return the SHA-256 digest over the names and the contents of all files of a data set."""
    total = sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        with path.open("rb") as file:
            content = sha256()
            while block := file.read(1 << 20):
                content.update(block)
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + content.digest())
    return total.hexdigest()


def _opened(folder: Path, where: str) -> MinariDataset:
    """Return the data set; Minari would make its environment, and import code, where it does not state its spaces."""
    try:
        absent = [space for space in _SPACES if space not in MinariStorage.read_raw_metadata(folder)]
        if absent:
            raise ValueError(f"its metadata has no {absent[0]}")
        return MinariDataset(folder)
    except Exception as error:  # the files are foreign
        raise BadInputError(f"{where} cannot be read: {type(error).__name__}: {error}") from error


def _check_spaces(data: MinariDataset, layouts: Layouts, description: EnvironmentDescription, where: str) -> None:
    own = layouts_of(data.observation_space, data.action_space, where)
    if own.observations.names != layouts.observations.names or own.action.spec != layouts.action.spec:
        raise BadInputError(
            f"{where} was recorded with observations {own.observations} and actions {own.action}; "
            f"{description.id} has observations {layouts.observations} and actions {layouts.action}"
        )


def _episode(episode: Any, layouts: Layouts, where: str) -> RecordedEpisode:
    """Return one episode; BadInputError naming what is unfit in it."""
    steps, spec = len(episode.rewards), layouts.action.spec
    if not steps:
        raise BadInputError(f"{where}: it has no step")
    try:
        features = layouts.observations.flatten_rows(episode.observations, steps + 1)
        actions = layouts.action.from_native_rows(episode.actions, steps)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{where}: {error}") from error
    rewards = np.asarray(episode.rewards, np.float32)
    for values, names in ((features, layouts.observations.names), (rewards[:, None], ("the reward",))):
        if not np.isfinite(values).all():
            step, column = (int(index) for index in np.argwhere(~np.isfinite(values))[0])
            raise BadInputError(f"{where}, step {step}: {names[column]} is {values[step, column]}; expected a number")
    mask = _masks(episode, steps, spec.logits, where)
    for column, (head, options) in enumerate(zip(spec.discrete, spec.segments(mask), strict=True)):
        chosen = actions[:, column].astype(np.int64)
        outside = (chosen < 0) | (chosen >= len(head.options))
        illegal = outside | ~np.take_along_axis(options, np.where(outside, 0, chosen)[:, None], 1)[:, 0]
        if illegal.any():
            step = int(np.argmax(illegal))
            found = "is not in the space" if outside[step] else "is forbidden by action_mask"
            raise BadInputError(f"{where}, step {step}: action {np.asarray(actions[step]).tolist()} {found}")
    return RecordedEpisode(
        observations=features[:steps],
        action_mask=mask,
        actions=actions,
        rewards=rewards,
        is_terminated=bool(episode.terminations[-1]),
    )


def _masks(episode: Any, steps: int, options: int, where: str) -> NDArray[np.bool_]:
    """Return which options were legal [T, A], as the observation or the info of each step says; all by default."""
    for source in (episode.observations, episode.infos):
        if isinstance(source, Mapping) and MASK in source:
            masks = np.asarray(source[MASK]).reshape(len(source[MASK]), -1)
            if masks.shape != (steps + 1, options):
                raise BadInputError(f"{where}: {MASK} has shape {masks.shape}; expected {(steps + 1, options)}")
            return masks[:steps].astype(np.bool_)
    return np.ones((steps, options), np.bool_)
