"""Restore photos with a trained network: from arrays to tiles and back."""
