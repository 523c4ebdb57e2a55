"""Scores of a restored image against its ground truth: ``protocol`` says how, ``table`` lists which."""
