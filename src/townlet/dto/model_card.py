"""What a model card says of a policy: its form, the run that made it, and what the gate found."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.constraints import Text
from townlet.dto.guards import GuardReport
from townlet.dto.limitations import RunLimitations
from townlet.dto.metrics import Measurement
from townlet.dto.provenance import Statement
from townlet.dto.run_data import RunVisit, VisitEvidence

__all__ = ["BUNDLE_FILES", "CardOptions", "CardPolicy", "CardPromotion", "CardRun", "CardSection"]

BUNDLE_FILES: Mapping[str, str] = MappingProxyType(
    {
        "README.md": "this card",
        "policy.safetensors": "weights, normalisers and probe, without pickle",
        "spec.json": "what each input and output is",
        "act.py": "acts with numpy alone; `python act.py --verify` plays the recorded observations again",
        "inputs.py": "what `act.py` reads observations and masks with",
        "act.mjs": "the same in JavaScript, without a dependency: `node act.mjs --verify`",
        "inputs.mjs": "what `act.mjs` reads observations and masks with",
        "probe.safetensors": "recorded observations with their actions",
        "model.onnx": "the whole policy as an ONNX graph: normaliser, masks, heads, clipping and scaling inside",
        "provenance.json": "where the policy comes from, as an in-toto statement",
    }
)
"""Files that a bundle may hold, and what each is."""

_LICENSE = Text(pattern=r"[a-z0-9][a-z0-9.+-]{0,59}", words="a license of the Hub's list, such as mit or apache-2.0")
_REPOSITORY = Text(pattern=r"([\w.-]{1,96}/[\w.-]{1,96})?", words="a repository of the Hub as USER/NAME")


@frozen(kw_only=True)
class CardOptions(Record):
    """What only the owner of a policy can say of it."""

    license: str = attrs.field(default="unknown", validator=_LICENSE)
    """License of the weights, by its identifier on the Hub; ``unknown`` says that the owner named none."""
    base_model: str = attrs.field(default="", validator=_REPOSITORY)
    """Repository of the Hub that holds the teacher as a model; empty for a scripted teacher, which the card names in
    its text: the Hub refuses a base model that is no repository."""


@frozen(kw_only=True)
class CardPolicy(Record):
    """The form of a policy, from its weights file."""

    digest: str
    """Digest of the weights."""
    features: tuple[str, ...]
    """Names of the F inputs."""
    outputs: tuple[str, ...]
    """Names of the logits and means."""
    hidden: tuple[int, ...]
    """Widths of the actor's hidden layers."""
    signature: str = ""
    """Signature of the environment that the weights name; empty where they name none."""


@frozen(kw_only=True)
class CardPromotion(Record):
    """That the policy was promoted."""

    name: str
    """Policy name in the registry."""
    alias: str
    """Alias that moved."""
    version: int
    """Registry version."""
    replaced: str | None = None
    """Digest of the weights that the alias named before; none where it named nothing."""
    at: str
    """UTC time, ISO 8601."""
    head: str
    """Hash of the journal's record."""


@frozen(kw_only=True)
class CardSection(Record):
    """A section of the card that another part of the export writes, such as the certificate of an ONNX graph."""

    title: str
    """Its heading."""
    lines: tuple[str, ...]
    """Its sentences, a list item each."""


@frozen(kw_only=True)
class CardRun(Record):
    """What the run that made a policy says of it."""

    run: str
    """Run id."""
    schedule: str
    """Name of the schedule."""
    schedule_sha256: str
    """SHA-256 of the schedule's bytes."""
    seed: int
    """Seed of the run."""
    rehearsal: bool
    """Whether the run only rehearsed."""
    environment: str
    """Id of the environment."""
    scenario: str
    """Scenario that the policy was trained in."""
    signature: str
    """Signature of the environment."""
    teacher: str
    """The teacher, as the schedule names it; ``none`` for none."""
    versions: Mapping[str, str]
    """Libraries and machine."""
    ended: str
    """Where the run is or ended, and why, in words."""
    promotion: CardPromotion | None = None
    """Its promotion; none where the run did not promote this policy."""
    training: tuple[RunVisit, ...] = ()
    """Visits that the weights came from, the first one first."""
    evaluated: str = ""
    """The visit that evaluated it, in words; empty where none did."""
    looks: int = 0
    """Looks that this visit took."""
    declared: tuple[int, ...] = ()
    """Episodes at each look that was declared."""
    confidence: float | None = None
    """1 − the chance, over the whole run, that an equal policy passes; none without evidence."""
    evidence: VisitEvidence | None = None
    """The paired episodes; none where none were played or their table cannot be read."""
    seeds_sha256: str = ""
    """SHA-256 of what the episodes are keyed by: equal digests are equal episodes."""
    measurements: tuple[Measurement, ...] = ()
    """KPIs of the policy as the evaluation judged it."""
    guards: tuple[GuardReport, ...] = ()
    """Verdicts that the evaluation, or the promotion, rests on."""
    edge: str = ""
    """The edge that was taken on these verdicts, in words."""
    limitations: RunLimitations | None = None
    """What this evidence could not show; none where it cannot be found out."""
    problems: tuple[str, ...] = ()
    """What could not be read, and why."""
    reservations: tuple[str, ...] = ()
    """Promises that the environment does not keep, and processes that did not promise the same bits."""
    statement: Statement | None = None
    """The provenance of its promotion; none where it was not promoted."""
