"""Proximal policy optimisation: rollouts, objective, gradient, updates; nothing of runs, schedules or files."""
