"""The words: frozen records and the one strict converter."""
