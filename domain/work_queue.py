"""The order of the work queue: what a person should decide first.

1. Items with a deadline that is past or less than `SOON` away, by deadline. The console shows them red or amber.
2. All other items by due time. The due time is the deadline, or, for an item without one, the moment it began to wait
   plus the target of its kind.

So a payout due in five minutes comes before a ticket that has waited for days, and a ticket that has waited for days
comes before a payout due next week. An item without a deadline cannot wait for ever: time brings its due time closer,
and every deadline ahead of it is decided or passes.
"""

from datetime import timedelta
from typing import Final

SOON: Final = timedelta(hours=2)

# How long an item without a deadline may wait, by kind. A target orders the list and nothing else: nothing happens
# when it passes.
TARGETS: Final = {
    "payout": timedelta(hours=24),
    "dispute": timedelta(hours=24),
    "case": timedelta(hours=24),
    "identity": timedelta(hours=24),
    "product_version": timedelta(hours=72),  # nobody waits for it: accounts keep their version
    "account_move": timedelta(hours=72),
    "review": timedelta(hours=4),  # an account trades on while its breach is in doubt
    "ticket": timedelta(hours=24),
    "inbox": timedelta(hours=1),  # an undelivered message: money or an account waits for it
    "outbox": timedelta(hours=1),
}
