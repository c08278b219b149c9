"""The record of a shard: what it found as rows, its checkpoints, and how it comes back from them."""
