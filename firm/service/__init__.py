"""Service clocks on the record: the policy in force, events, timers and what follows when a clock is late."""
