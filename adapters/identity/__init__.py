"""Identity checkers: who looks at a trader's documents."""
