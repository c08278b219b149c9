"""`propos doctor`: the checks of every part, and their report."""
