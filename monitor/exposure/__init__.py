"""What the accounts of a shard hold together, and what a shock would do to them, from frozen copies of its columns."""
