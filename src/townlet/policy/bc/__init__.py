"""Behaviour cloning: the fit of the actor to labels and of the critic to returns."""
