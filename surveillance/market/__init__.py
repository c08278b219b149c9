"""The market beside the trades: sessions, reference quotes, clocks of venues, fills, and what the price did then."""
