"""An account that its venue locked by a limit of its own has a minute to be ended by our own judging."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.judging.venue_locks import VenueLocks
from ports.platform import AccountChanged

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class AnAccount:
    """What the watch reads of an account, and of the shard that has it."""

    def __init__(self) -> None:
        self.account_id, self.login, self.row, self.judged, self.balance_minor = "acc_1", 7, 0, True, 100
        self.rules = type("Rules", (), {"specs": (), "states": ()})
        self.here = True
        self.reviews: list[Any] = []

    @property
    def accounts(self) -> "AnAccount":
        return self

    def find(self, _: int) -> "AnAccount | None":
        return self if self.here else None

    def exact_equity(self, _: object) -> int:
        return 90

    def review(self, *given: object) -> None:
        self.reviews.append(given)


def told(change: Any = "disabled", *, by_limit: bool = True) -> AccountChanged:
    return AccountChanged(seq=5, at=NOON, login=7, change=change, by_limit=by_limit)


def watch(account: Any) -> VenueLocks:
    return VenueLocks(account)


@pytest.mark.parametrize(
    ("what", "reviews"), [("stays", 1), ("ended", 0), ("enabled", 0), ("moved", 0), ("our own", 0)]
)
def test_only_a_lock_that_our_rules_do_not_share_is_a_review(what: str, reviews: int) -> None:
    account: Any = AnAccount()
    locks = watch(account)
    locks.take(account, told(by_limit=what != "our own"))
    locks.check(NOON + timedelta(seconds=59))
    assert account.reviews == [], "our own judging may end it yet"
    account.judged = what != "ended"
    account.here = what != "moved"
    if what == "enabled":
        locks.take(account, told("enabled"))
    for _ in range(2):
        locks.check(NOON + timedelta(seconds=60))
    assert len(account.reviews) == reviews
