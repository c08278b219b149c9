"""How often something happens by chance: intensities of the whole firm, tails, and many tests at once."""
