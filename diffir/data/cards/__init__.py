"""Dataset cards: where public datasets are, how their files are laid out, and the scores published for them."""
