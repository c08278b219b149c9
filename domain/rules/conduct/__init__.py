"""Rules on how an account trades."""
