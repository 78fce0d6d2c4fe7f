"""The school: network, weights, inference, rollout, losses and the training package."""
