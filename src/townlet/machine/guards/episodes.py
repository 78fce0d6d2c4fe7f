"""Stored episodes of two policies, with the plan of looks that a test follows."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.metrics import named_episodes
from townlet.machine.guards.look_errors import LookErrors

__all__ = ["SequentialDecision", "StoredEpisodes", "first_decision", "with_reason"]

_DECISIVE = (Verdict.PASS, Verdict.FAIL)


@frozen(kw_only=True)
class StoredEpisodes:
    """Episodes of the candidate and of a baseline, as the evidence has them."""

    candidate: tuple[float | None, ...]
    """Each episode's value; none where it had no exposure."""
    baseline: tuple[float | None, ...]
    """The same for the baseline; empty for a guard that compares with a fixed limit."""
    looks: tuple[int, ...]
    """Episodes at each look that was taken."""
    errors: LookErrors
    """The looks that were declared before the run, and the error of each."""
    seed: int
    """Keys the episodes."""
    invalid: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Episodes in which the candidate has no valid number, and those in which the baseline has none."""
    unpaired: bool = False
    """Whether the episodes are not pairs: the environment does not obey its seed, or the baseline is a data set."""
    recorded: bool = False
    """Whether the baseline is a data set: all of its episodes stand beside the candidate's at every look."""

    @property
    def has_baseline(self) -> bool:
        """Whether the episodes are compared with those of a baseline."""
        return True

    def length_problem(self) -> str:
        """Return that a side has another number of values than the looks say; empty where both fit."""
        episodes = self.looks[-1] if self.looks else 0
        candidates, baselines = len(self.candidate), len(self.baseline)
        if candidates == episodes and (baselines == episodes or self.recorded or not self.has_baseline):
            return ""
        of_baseline = f" and {baselines} of the baseline" if self.has_baseline else ""
        return f"expected {episodes} episodes, found {candidates} values of the candidate{of_baseline}"

    def invalid_reason(self, episodes: int, baseline_name: str) -> str:
        """Return in which of the first `episodes` the environment gave no valid number; empty where in none."""
        invalid = [tuple(i for i in each if i < episodes) for each in self.invalid]
        found = sides("has no valid number", ("the candidate", invalid[0]), (baseline_name, invalid[1]))
        return found and f"of {episodes} episodes with seed {self.seed}, {found}; mend the environment's tallies"

    def missing_reason(self, episodes: int, baseline_name: str, missing: Sequence[tuple[int, ...]]) -> str:
        """Return which side lacks exposure in which episodes, `missing` of each; empty where neither does."""
        found = sides("alone has no exposure", ("the candidate", missing[0]), (baseline_name, missing[1]))
        return found and (
            f"of {episodes} episodes with seed {self.seed}, {found}; state in the guard what these count as, "
            "`missing: worst` or `missing: drop`"
        )


def sides(lacks: str, *each: tuple[str, tuple[int, ...]]) -> str:
    """Return in words in which episodes each side lacks something; empty where in none."""
    return " and ".join(
        f"{name} {lacks} in {len(episodes)} of them ({named_episodes(episodes)})" for name, episodes in each if episodes
    )


@frozen(kw_only=True)
class SequentialDecision:
    """A report, and whether further looks could change it."""

    report: GuardReport
    """The report after the last look that was needed."""
    settled: bool
    """True where no further look can change the verdict."""


def first_decision(
    stored: StoredEpisodes, empty: GuardReport, at_look: Callable[[int], tuple[GuardReport, bool]]
) -> SequentialDecision:
    """Return the report at the first look that decides; UNDECIDED only after the last declared one.

    `at_look` returns the report at a look, counted from 1, and whether no later look can mend it. `empty` is the report
    before any look.
    """
    for look in range(1, len(stored.looks) + 1):
        report, is_void = at_look(look)
        if report.verdict in _DECISIVE or is_void or look == len(stored.errors.looks):
            return SequentialDecision(report=report, settled=True)
    reason = f"the evidence ends at look {len(stored.looks)} of {len(stored.errors.looks)} without a decision"
    return SequentialDecision(report=with_reason(empty, reason), settled=False)


def with_reason(report: GuardReport, reason: str) -> GuardReport:
    """Return a report that says why nothing is known."""
    return evolve(report, sentence=f"{report.metric} is not known: {reason}")
