"""The registry of policies: versions, aliases and their history in SQLite, with a ledger beside it."""
