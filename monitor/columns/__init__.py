"""The columns of a shard: accounts, positions and rules as numpy arrays, and the compiled loops over them."""
