"""One fit of a network: its stages, its epochs and the callbacks that see them."""
