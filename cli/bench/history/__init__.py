"""`propos bench history`: what a firm costs as its record grows, day by day."""
