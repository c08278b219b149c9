"""One engine: a live shard, the replay, a statement and the proof sheets judge the same random lives."""
