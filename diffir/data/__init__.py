"""Data: photos wherever they lie, training and validation samples, dataset cards, and what is wrong with a set."""
