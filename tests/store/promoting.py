"""Promotions as a run makes them."""

from townlet.dto.registry import Version
from townlet.store.registry.registry import Registry

FACTS = {"environment": "e" * 64, "features": "hunger hygiene", "actions": "wait move"}


def promote(registry: Registry, target: str, expected: str | None, run: str = "run-1", evidence: str = "ev") -> Version:
    """Move the champion's alias to `target`."""
    return registry.promote(
        "town", "champion", target=target, expected=expected, evidence=evidence, run=run, head="head", metadata=FACTS
    )
