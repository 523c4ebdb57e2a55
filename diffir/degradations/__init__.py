"""Recipes of random steps that turn a clean image into a low-quality one."""
