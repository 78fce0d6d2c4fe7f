"""Bundles: a policy as files that act without Townlet."""
