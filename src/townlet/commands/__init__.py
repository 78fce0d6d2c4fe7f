"""Behind the front door: commands too large for it, and the words that all commands share."""
