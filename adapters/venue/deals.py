"""A fill as a deal of an account's history."""

from ports.facts import of_deal
from ports.platform import Deal
from ports.venue import Fill, Unreadable


def as_deal(fill: Fill, *, balance_minor: int, seq: int = 0) -> Deal:
    """`balance_minor`: after the fill. Raises Unreadable if the venue has not said the profit."""
    if fill.profit_minor is None:
        raise Unreadable(f"Fill {fill.fill_id[:40]} has no profit.")
    return Deal(seq=seq, at=fill.at, balance_minor=balance_minor, **of_deal(fill, fill.profit_minor))
