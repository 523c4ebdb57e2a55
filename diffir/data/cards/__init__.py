"""Dataset cards: where public sets are, how they are laid out, and the scores published for them."""
