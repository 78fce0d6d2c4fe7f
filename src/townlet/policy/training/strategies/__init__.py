"""The strategies: one module each, resolved lazily by the registry in `base`."""
