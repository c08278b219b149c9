"""`propos chaos money`: the whole flow of money while providers, processes and people go wrong."""
