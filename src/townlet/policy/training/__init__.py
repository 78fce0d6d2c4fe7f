"""The training package: orchestrator, contexts, services, telemetry and the strategies."""
