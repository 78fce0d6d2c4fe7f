"""Drawings of a run as SVG, made here: they print, they are read aloud, and equal runs give equal bytes."""
