"""Venue calendars: sessions, holidays and early closes."""


def known_venues() -> frozenset[str]:
    """Returns the calendar names that a product may use."""
    from adapters.calendars.exchange import ExchangeCalendars

    return frozenset(ExchangeCalendars())
