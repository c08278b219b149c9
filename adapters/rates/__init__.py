"""Exchange rates, as their sources publish them."""
