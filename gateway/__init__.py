"""The gateway: one process per venue turns what the venue sends into the numbered stream that shards read."""
