"""Homes with real runs in them, made without torch: weights from outside walk capture → evaluate → promote."""

import hashlib
from pathlib import Path

from attrs import frozen
from corridor import CorridorProvider
from corridor_schedules import WEIGHTS_FILE, write
from ridge_weights import ridge

from townlet.dto.policy import AnnealSummary
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory


@frozen
class Town:
    """A home and what was promoted in it."""

    home: Path

    @property
    def registry(self) -> Registry:
        """The home's registry."""
        return Registry(self.home / "registry.sqlite")

    @property
    def blobs(self) -> BlobStore:
        """The home's blobs."""
        return BlobStore(self.home / "blobs")

    @property
    def champion(self) -> str:
        """Digest of the weights in force."""
        found = self.registry.champion("given", "champion")
        assert found is not None
        return found.weights

    def walk(self, kind: str, directory: Path | None = None) -> AnnealSummary:
        """Walk a schedule that promotes the weights of one kind where they are better than the champion."""
        return self.facade(kind).run(directory=directory)

    def facade(self, kind: str) -> PolicyTrainingOrchestrator:
        """Return what walks that schedule; each call stands for a new process."""
        data = ridge(kind)
        folder = self.home.parent
        (folder / f"{kind}.safetensors").write_bytes(data)
        path = write(
            folder, WEIGHTS_FILE, scenario="plain", file=f"{kind}.safetensors", sha256=hashlib.sha256(data).hexdigest()
        )
        return PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=self.home)

    def run(self, index: int) -> RunDirectory:
        """Return the run that was created n-th."""
        return sorted(RunDirectory.every(self.home), key=lambda run: str(run.metadata()["created"]))[index]


def twice_promoted(folder: Path) -> Town:
    """Return a home in which a slow policy was promoted, then a straight one."""
    folder.mkdir(parents=True, exist_ok=True)
    town = Town(folder / "home")
    assert town.walk("slow").champion_moved
    assert town.walk("straight").champion_moved
    return town
