"""What is decided about accounts: limits, conduct, gates, resets, and which quotes may judge."""
