"""The wall time of each account: its days and hours are those of its own zone."""

from datetime import UTC, datetime

import numpy as np

from domain.clocks import zone_of
from surveillance.book import DAY, HOUR, Accounts, Indexes, Ints

_QUARTER: int = HOUR // 4  # offsets change at whole quarters of an hour


def local_times(accounts: Accounts, account: Indexes | Ints, at: Ints) -> Ints:
    """Returns the wall time, in microseconds since 1970 of that wall, at which each account has these moments. An
    account without a zone has UTC. Raises ValueError for an unknown zone."""
    local = at.copy()
    zones = accounts.zone[account]
    for number, name in enumerate(accounts.zones):
        rows = np.flatnonzero(zones == number)
        if not len(rows) or name in ("", "UTC"):
            continue
        zone = zone_of(name)
        quarters, which = np.unique(at[rows] // _QUARTER, return_inverse=True)
        offsets = [
            datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone).utcoffset() for quarter in quarters.tolist()
        ]
        shifts = np.array([0 if each is None else round(each.total_seconds() * 1_000_000) for each in offsets])
        local[rows] += shifts.astype(np.int64)[which]
    return local


def local_days(accounts: Accounts, account: Indexes | Ints, at: Ints) -> Ints:
    """Returns the number of the day, in the zone of each account, of these moments."""
    return np.asarray(local_times(accounts, account, at) // DAY, dtype=np.int64)
