"""Restore folders or buckets of very many photos on many machines, with the engine of Ray Data."""
