"""Distributions of actions: sample, mode, log-probability, entropy and KL, in numpy, in torch, and differentiated."""
