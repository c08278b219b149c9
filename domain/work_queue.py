"""The order of the work queue: what a person should decide first.

1. Items with a deadline that is past or less than `SOON` away, by deadline. The console shows them red or amber.
2. All other items by due time. The due time is the deadline, or, for an item without one, the moment it began to wait
   plus the target age of its kind (`front/subjects/`).

So a payout due in five minutes comes before a ticket that has waited for days, and a ticket that has waited for days
comes before a payout due next week. An item without a deadline cannot wait for ever: time brings its due time closer,
and every deadline ahead of it is decided or passes.
"""

from datetime import timedelta
from typing import Final

SOON: Final = timedelta(hours=2)
