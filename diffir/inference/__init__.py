"""Restoring photos with a trained network: arrays, tiles, folders."""
