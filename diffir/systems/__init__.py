"""The systems that diffir can train and restore with, one folder each."""
