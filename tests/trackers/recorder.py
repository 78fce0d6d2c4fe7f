"""Trackers for tests: one that remembers what it is given, and some that misbehave."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

from attrs import define, field

from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun

RUN = TrackedRun(id="20261127T000000-town-abc", name="town", seed=7, parameters={"states.ppo.with.gamma": "0.99"})


def point(step: int, returns: tuple[float, ...] = (), **numbers: float) -> TrackedPoint:
    """Return a point with the default number `train/value_loss`."""
    named = {name.replace("__", "/"): value for name, value in numbers.items()} or {"train/value_loss": 0.5}
    return TrackedPoint(step=step, at=1.0e9 + step, numbers=named, returns=returns)


def move(version: int, file: Path, alias: str = "champion") -> AliasMove:
    """Return the move of an alias to a version whose weights are the content of a file."""
    weights = f"{version:064x}"
    return AliasMove(policy="town", alias=alias, version=version, weights=weights, file=file, reason="promoted")


@define
class Recorder:
    """Remembers every call."""

    keeps_aliases: bool = True
    runs: list[TrackedRun] = field(factory=list)
    points: list[TrackedPoint] = field(factory=list)
    moves: list[AliasMove] = field(factory=list)
    ends: list[str] = field(factory=list)
    batches: list[int] = field(factory=list)

    def open(self, run: TrackedRun) -> None:
        """Remember the run."""
        self.runs.append(run)

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Remember the points."""
        self.batches.append(len(points))
        self.points += points

    def move(self, move: AliasMove) -> None:
        """Remember the move."""
        self.moves.append(move)

    def close(self, state: str) -> None:
        """Remember the state."""
        self.ends.append(state)

    @property
    def steps(self) -> list[int]:
        """The steps of all points."""
        return [each.step for each in self.points]

    def last(self, name: str) -> float:
        """Return the last number of a name."""
        return [each.numbers[name] for each in self.points if name in each.numbers][-1]


@define
class Hanging(Recorder):
    """Hangs in the first call of `log` until it is let go."""

    called: Event = field(factory=Event)
    let_go: Event = field(factory=Event)

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Remember the points."""
        self.called.set()
        self.let_go.wait(60)
        super().log(points)


@define
class Refusing(Recorder):
    """Raises in the calls that `refuses` names, as often as `times` says."""

    refuses: str = "log"
    times: int = 10**9

    def _refuse(self, call: str) -> None:
        if call == self.refuses and self.times > 0:
            self.times -= 1
            raise OSError(28, "No space left on device")

    def open(self, run: TrackedRun) -> None:
        """Remember the run."""
        self._refuse("open")
        super().open(run)

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Remember the points."""
        self._refuse("log")
        super().log(points)

    def move(self, move: AliasMove) -> None:
        """Remember the move."""
        self._refuse("move")
        super().move(move)
