"""Rules that set a floor or a ceiling for the worth of an account."""
