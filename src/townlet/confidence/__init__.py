"""Confidence bounds and tests with a declared error: means, rates, shares, and their division over looks and visits."""
