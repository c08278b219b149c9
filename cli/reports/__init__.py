"""Results of commands as tables and documents."""
