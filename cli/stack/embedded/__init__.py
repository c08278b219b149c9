"""The servers that `propos up` brings along: PostgreSQL and Temporal, from their wheels."""
