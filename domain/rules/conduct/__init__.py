"""Rules about how an account is traded."""
