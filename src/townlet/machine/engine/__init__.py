"""The engine: one run of the machine, each step journalled before it counts."""
