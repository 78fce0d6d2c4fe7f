"""The façade under the name that earlier releases gave it."""

from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

__all__ = ["PolicyTrainingOrchestrator"]
