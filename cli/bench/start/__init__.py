"""How long commands take to their first line, a firm to its console, and a killed process to be back."""
