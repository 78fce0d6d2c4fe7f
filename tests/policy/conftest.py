"""Makes the corridor, its schedules and its walks importable from every test below this folder."""
