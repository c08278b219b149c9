"""Venues' own calendars: sessions, holidays and early closes."""


def known_venues() -> frozenset[str]:
    """The names that a product may use for a venue's calendar."""
    from adapters.calendars.exchange import ExchangeCalendars

    return frozenset(ExchangeCalendars())
