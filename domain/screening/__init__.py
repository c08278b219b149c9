"""Comparing a name with the names on a sanctions list. Pure: names in, scores with reasons out."""
