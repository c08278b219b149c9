"""Zammad as the desk at which people work on tickets."""
