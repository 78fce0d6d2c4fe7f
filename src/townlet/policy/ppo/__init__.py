"""Proximal policy optimisation: rollouts, objective, gradient, updates; it knows nothing of runs and schedules."""
