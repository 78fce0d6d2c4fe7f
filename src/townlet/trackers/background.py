"""One tracker in a thread of its own, behind a bounded queue: it may be slow, hang or raise, and the run goes on."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic

from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.ports import Tracker

__all__ = ["BackgroundTracker"]

_LOG = logging.getLogger("townlet")
_MOST_POINTS = 4096
"""Points that wait at the most; the oldest are dropped."""
_MOST_TOGETHER = 256
"""Points of one call."""
_LAG = 2.0
"""Seconds that something may wait for a tracker that keeps up with the run."""
_GRACE = 5.0
"""Seconds that the end of a run waits for a tracker that keeps up."""
_SHARE = 0.005
"""Share of the run's time that its end waits for one that does not."""
_FIRST = 15.0
"""Seconds that a tracker may take to begin, its imports included; the end of a shorter run waits for the rest."""
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a call that raised is made again; they double each time."""
_LONGEST_REASON = 300


class BackgroundTracker:
    """Hands all that it is given to a tracker, in the tracker's own thread; what it is given costs the run a lock."""

    def __init__(self, name: str, tracker: Tracker, run: TrackedRun, advice: str = "") -> None:
        """Start the thread, which opens the tracker.

        `name` is what the warning calls it, `advice` how the move of an alias that it did not take is made up for.
        """
        self.name = name
        self._tracker, self._run, self._advice = tracker, run, advice
        self._points: deque[tuple[float, TrackedPoint]] = deque()
        self._moves: deque[tuple[float, AliasMove]] = deque()
        self._changed = Condition()
        self._called: list[TrackedPoint] = []
        """Points of the present call; they are lost where it never succeeds."""
        self._called_since: float | None = None
        self._end: str | None = None
        self._refused: Callable[[], None] | None = None
        """The last call, where it raised."""
        self._given_up: list[Callable[[], None]] = []
        self._pause = _PAUSE
        self._is_open = self._is_closed = self._is_abandoned = False
        self._received = self._dropped = 0
        self._error = ""
        self._began = monotonic()
        self._thread = Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def log(self, point: TrackedPoint) -> None:
        """Take a point; where too many wait, drop the oldest."""
        with self._changed:
            self._received += 1
            self._points.append((monotonic(), point))
            while len(self._points) > _MOST_POINTS:
                self._points.popleft()
                self._dropped += 1
            self._changed.notify()

    def move(self, move: AliasMove) -> None:
        """Take the move of an alias; it overtakes the points that wait, and is never dropped while the run goes on."""
        with self._changed:
            self._moves.append((monotonic(), move))
            self._changed.notify()

    def end(self, state: str) -> None:
        """Ask the tracker to take what waits, and to close; this returns at once, `wait` waits."""
        with self._changed:
            self._end = state
            self._changed.notify()

    def wait(self) -> None:
        """Wait until the tracker is closed, no longer than the run can spare; log one warning where it is not."""
        self._thread.join(self._patience())
        with self._changed:
            self._is_abandoned = True  # a call that hangs may return one day; none follows it
            points, moves = self._dropped + len(self._points) + len(self._called), len(self._moves)
            is_closed, error = self._is_closed, self._error
        lost = [f"{points} of {self._received} points"] if points else []
        lost += [f"{moves} {'move' if moves == 1 else 'moves'} of an alias"] if moves else []
        if lost or not is_closed:
            what = f"did not take {' and '.join(lost)}" if lost else "was not closed"
            advice = f"; {self._advice}" if moves and self._advice else ""
            why = error or "it is too slow"
            _LOG.warning("tracker %s %s (%s); the run is not affected%s", self.name, what, why, advice)

    def _patience(self) -> float:
        """Return the seconds for which the end of the run waits at the most."""
        now = monotonic()
        with self._changed:
            if not self._is_open and not self._error:
                return max(self._began + _FIRST - now, 0.0)
            since = [arrived for arrived, _ in (*self._moves, *self._points)]
            since += [] if self._called_since is None else [self._called_since]
        keeps_up = now - min(since, default=now) <= _LAG
        return _GRACE if keeps_up else _SHARE * (now - self._began)

    def _work(self) -> None:
        """Open the tracker, hand over what comes, and close it."""
        while not self._attempt(self._open):
            if self._has_no_more_attempts(self._open):
                return
        while (call := self._next()) is not None:
            self._attempt(call)
        if not self._is_abandoned:
            self._attempt(self._close)

    def _next(self) -> Callable[[], None] | None:
        """Wait for a move or for points, and return the call that hands them over; None once all is over.

        A move that was refused lets the points go first, so that it does not block them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._moves or self._points or self._called or self._end is not None)
            if self._is_abandoned:
                return None
            has = {self._hand_over_move: bool(self._moves), self._hand_over_points: bool(self._called or self._points)}
            calls = [call for call, is_needed in has.items() if is_needed and not self._has_no_more_attempts(call)]
            return min(calls, key=lambda call: call == self._refused, default=None)

    def _attempt(self, call: Callable[[], None]) -> bool:
        """Make a call and return whether it returned; where it raised, wait a while, unless the run has ended."""
        is_last = self._end is not None
        try:
            call()
        except Exception as error:  # noqa: BLE001 - foreign code; whatever it raises is told, and must not end a run
            first = (str(error).splitlines() or [""])[0][:_LONGEST_REASON]
            with self._changed:
                self._error = self._error or f"{type(error).__name__}: {first}"
                self._refused = call
                if is_last:
                    self._given_up.append(call)
                self._changed.wait_for(lambda: self._end is not None, self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return False
        self._refused, self._pause = None, _PAUSE
        return True

    def _has_no_more_attempts(self, call: Callable[[], None]) -> bool:
        """Return whether a call was refused after the end of the run, or nobody waits for it any more."""
        return self._is_abandoned or call in self._given_up

    def _open(self) -> None:
        self._tracker.open(self._run)
        self._is_open = True

    def _close(self) -> None:
        self._tracker.close(self._end or "stopped")
        self._is_closed = True

    def _hand_over_points(self) -> None:
        with self._changed:
            if not self._called:
                self._called_since = self._points[0][0]
                count = min(len(self._points), _MOST_TOGETHER)
                self._called = [self._points.popleft()[1] for _ in range(count)]
        self._tracker.log(tuple(self._called))
        with self._changed:
            self._called, self._called_since = [], None

    def _hand_over_move(self) -> None:
        self._tracker.move(self._moves[0][1])
        with self._changed:
            self._moves.popleft()
