"""What people are told: the kinds of notifications, and the texts that they are written with."""
