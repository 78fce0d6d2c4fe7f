"""Evaluation: whole episodes and paired comparisons of policies."""
