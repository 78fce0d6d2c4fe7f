"""Homes whose promotions must be signed, and the keys of those who sign."""

import hashlib
from pathlib import Path

from attrs import frozen
from corridor import CorridorProvider
from corridor_schedules import WEIGHTS_FILE, write
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from ridge_weights import ridge

from townlet.cli import run_command
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory


@frozen
class Home:
    """A home whose promotions ada must sign."""

    folder: Path

    @property
    def path(self) -> Path:
        """The home."""
        return self.folder / "home"

    @property
    def registry(self) -> Registry:
        """Its registry."""
        return Registry(self.path / "registry.sqlite")

    @property
    def run(self) -> RunDirectory:
        """The run that was begun last."""
        return RunDirectory.find(self.path, "latest")

    def orchestrator(self, kind: str, signers: str | None = "ada.pub") -> PolicyTrainingOrchestrator:
        """Return what promotes weights of a kind."""
        data = ridge(kind)
        (self.folder / f"{kind}.safetensors").write_bytes(data)
        text = WEIGHTS_FILE
        if signers is not None:
            text = text.replace("champion: champion}}", f"champion: champion, signers: {signers}}}}}", 1)
        path = write(
            self.folder, text, scenario="plain", file=f"{kind}.safetensors", sha256=hashlib.sha256(data).hexdigest()
        )
        return PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=self.path)

    def begin(self, kind: str, signers: str | None = "ada.pub") -> PolicyTrainingOrchestrator:
        """Run until the promotion waits for a signature."""
        orchestrator = self.orchestrator(kind, signers)
        summary = orchestrator.run()
        assert "hold" == summary.state
        assert "signature" in summary.reason
        return orchestrator

    def sign(self, key: str = "ada", request: Path | None = None) -> Path:
        """Sign the request of the last run."""
        request = request or self.run.signature_request
        assert 0 == run_command(["sign", str(request), "--key", str(self.folder / key)])
        return request.with_name(f"{request.name}.sig")

    def approve(self, signature: Path) -> int:
        """Bring a signature to the last run."""
        return self.ask("approve", self.run.id, "--signature", str(signature))

    def ask(self, *words: str) -> int:
        """Give a command."""
        return run_command([*words, "--home", str(self.path)])

    def promote(self, kind: str) -> None:
        """Promote weights of a kind, signed by ada."""
        orchestrator = self.begin(kind)
        assert 0 == self.approve(self.sign())
        assert orchestrator.resume().champion_moved


def make_key(path: Path, key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | None = None) -> None:
    """Write a pair of keys as ssh-keygen does."""
    key = key or ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.touch(0o600)
    path.write_bytes(private)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + f" {path.name}@example.org\n".encode())
