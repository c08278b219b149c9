"""Venues' own calendars: sessions, holidays and early closes."""
