"""Townlet takes a scripted policy to a learned one, safely."""

__version__ = "0.1.0"
