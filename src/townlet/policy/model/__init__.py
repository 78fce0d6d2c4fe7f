"""The model: weights, inference in numpy, initial values, and the same network in torch."""
