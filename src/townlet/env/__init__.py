"""The window: what a learner sees of an environment."""
