"""The shapes of everything that the storage holds: plain data, no behaviour to speak of."""
