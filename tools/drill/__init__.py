"""Drill diffir with damaged files, kills and missing terminals; ``python -m tools.drill --help`` says how."""
