"""Restoring many files in one run: planning, reading ahead, restoring and writing in the background."""
