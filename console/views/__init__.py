"""What the templates are given: plain, typed, ready to print. No template reads a database row."""
