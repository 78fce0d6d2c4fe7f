"""Policies: model, data, losses, PPO, behaviour cloning and evaluation, and the training that runs them."""
