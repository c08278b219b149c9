"""The firm's exposure policy, and what-ifs put to the shards."""
