"""Pages as single HTML files: the report of a run, and what every page shares."""
