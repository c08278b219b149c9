"""Economic calendars."""
