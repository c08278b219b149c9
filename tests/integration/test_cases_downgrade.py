"""The tables of cases go back to what they were before, and forward again, where nothing was decided that is lost."""
