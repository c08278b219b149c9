"""Benchmarks of the engine's own live code, against baselines in the same run."""
