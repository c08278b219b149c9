"""The servers that `propos up` runs itself: PostgreSQL and Temporal, from their wheels."""
