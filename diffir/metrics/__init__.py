"""Image quality metrics: ``rows`` lists them, ``table`` computes them by name, ``protocol`` sets the conventions."""
