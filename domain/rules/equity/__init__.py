"""Rules that put a floor under, or a ceiling over, an account's worth."""
