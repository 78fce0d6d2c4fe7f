"""Behaviour cloning: the actor is fitted to labels, the critic to returns."""
