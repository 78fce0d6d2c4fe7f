"""Audit: verify a run, derive its decisions again, provenance, rebuild the registry, collect garbage."""
