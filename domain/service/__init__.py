"""Service: business hours, clocks of tickets, deadlines of what people decide. All times are wall time, in UTC."""
