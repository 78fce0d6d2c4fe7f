"""Live progress of a run: where its machine is, how fast it goes, what it has come to."""
