"""The stored evidence behind verdicts: every policy's value of each metric, episode by episode."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.policy_ref import is_data

__all__ = ["CANDIDATE", "RECORDED_METRICS", "EvidenceTable", "PairedMetric"]

CANDIDATE = "candidate"
"""What the policy under test is called among the policies of a table."""
RECORDED_METRICS = ("return_per_episode", "episode_length")
"""What recorded episodes tell: the metrics of a baseline that is a data set."""


@frozen(kw_only=True)
class PairedMetric(Record):
    """One metric of the candidate and of each baseline over the same episodes."""

    may_be_nan: ClassVar[bool] = True

    metric: str
    """``NAME``, or ``[SCENARIO].NAME`` in a suite."""
    values: Mapping[str, tuple[float | None, ...]]
    """Per policy (`candidate` or a baseline's name), each episode's ratio; none where it had no exposure."""
    invalid: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    """Per policy, the episodes in which it has no valid number; of policies without such episodes nothing."""
    sums: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """Per policy, each episode's sum, where a guard counts events; a value is sum ÷ exposure."""
    exposures: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """Per policy, what each sum is divided by; empty where `sums` is."""
    control: Mapping[str, tuple[float | None, ...]] = attrs.field(factory=dict)
    """Per baseline, its values in further episodes that it played alone, where the evidence has a control variate."""


@frozen(kw_only=True)
class EvidenceTable(Record):
    """The paired measurements behind verdicts, stored as a blob so that every verdict can be derived again."""

    evidence: str
    """Name in the schedule."""
    candidate: str
    """Digest of the weights under test."""
    baselines: Mapping[str, str]
    """What each baseline's name was pinned to: a weights digest, or ``teacher:NAME``."""
    seed: int
    """Seed that keys the episodes; episode i is world i."""
    looks: tuple[int, ...]
    """Episodes at each look that was taken."""
    metrics: tuple[PairedMetric, ...]
    """One row per metric; the lists are as long as the last look."""
    unpaired: bool = False
    """True where the environment does not obey its seed: episode i of two policies is not the same episode."""
    covariates: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """Per scenario, the covariate of each episode, where the evidence has a control variate that is one."""
    further_covariates: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """Per scenario, the covariate of further episodes, which were only begun."""

    def is_recorded(self, baseline: str) -> bool:
        """Return whether a baseline is a data set, whose episodes nothing can play again."""
        return is_data(self.baselines.get(baseline, ""))

    def is_unpaired(self, baseline: str) -> bool:
        """Return whether episode i of the candidate and of a baseline are not the same episode."""
        return self.unpaired or self.is_recorded(baseline)
