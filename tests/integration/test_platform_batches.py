"""A platform with ten thousand accounts is compared in a few calls, or in batches that go on where they stopped."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select, text

from activities.platform_reading import PlatformReading
from domain.errors import Unavailable
from ports.listing import ListedAccount
from ports.platform import AccountSnapshot
from store.models import ReconciliationBreak
from tests.payout_world import INITIAL, Venue, World, a_firm

MANY = 10_000


@dataclass
class CountingVenue(Venue):
    """`asked`: the logins whose snapshot was asked for. `fails_at`: the number of the question that gets no answer."""

    asked: list[int] = field(default_factory=list)
    fails_at: int = 0

    async def snapshot(self, login: int) -> AccountSnapshot:
        self.asked.append(login)
        if len(self.asked) == self.fails_at:
            raise Unavailable("The platform does not answer.")
        return await super().snapshot(login)


class ListingVenue(CountingVenue):
    async def accounts(self) -> AsyncIterator[Sequence[ListedAccount]]:
        logins = sorted(self.balances)
        for start in range(0, len(logins), 1000):
            yield [ListedAccount(each, "USD", True, self.balances[each], {}) for each in logins[start : start + 1000]]


async def fill(firm: World, count: int) -> None:
    """Copies of tina's account, each with a login of its own."""
    await firm.add_trader("tina", profit_minor=0)
    [tina] = firm.venue.balances
    async with firm.db.transaction() as session:
        for statement in (
            """INSERT INTO accounts (id, challenge_id, trader_id, phase_index, attempt, product, version, platform,
                                     login, shard, clock_group, currency, initial_minor, status, opened_at)
               SELECT 'acc_' || lpad(n::text, 6, '0'), challenge_id, trader_id, phase_index, n + 1, product, version,
                      platform, :first + n, shard, clock_group, currency, initial_minor, status, opened_at
                 FROM accounts, generate_series(1, :count) n WHERE accounts.id = 'acc_tina'""",
            """INSERT INTO account_live (account_id, batch, at, balance_minor, equity_minor, trading_days, positions,
                                         floors, rule_state)
               SELECT a.id, batch, at, balance_minor, equity_minor, trading_days, positions, floors, rule_state
                 FROM account_live, accounts a WHERE account_id = 'acc_tina' AND a.id LIKE 'acc_0%'""",
        ):
            await session.execute(text(statement), {"first": tina, "count": count})
    firm.venue.balances |= {tina + number: INITIAL for number in range(1, count + 1)}


async def breaks(firm: World) -> dict[str, str]:
    async with firm.db.transaction() as session:
        rows = await session.scalars(select(ReconciliationBreak).where(ReconciliationBreak.state != "closed"))
        return {row.account_id or row.subject: row.kind for row in rows}


@pytest.mark.timeout(300)
async def test_of_ten_thousand_listed_accounts_only_those_that_differ_are_asked_for(database_url: str) -> None:
    async with a_firm(database_url, ListingVenue()) as firm:
        await fill(firm, MANY)
        venue = firm.venue
        assert isinstance(venue, ListingVenue)
        first = min(venue.balances)
        venue.balances[first + 5] -= 70
        del venue.balances[first + 6]
        venue.balances[first - 1] = 1
        beats: list[object] = []
        reading = PlatformReading(firm.db, firm.deps.platforms, "fake", lambda *details: beats.append(details))
        assert await reading.round() == MANY + 2
        assert sorted(venue.asked) == [first - 1, first + 5, first + 6]
        assert len(beats) > MANY // 1000
        found = {
            "acc_000005": "venue_balance_differs",
            "acc_000006": "venue_account_missing",
            str(first - 1): "venue_account_unknown",
        }
        assert await breaks(firm) == found


async def test_without_a_list_a_comparison_that_stopped_goes_on_behind_the_last_batch(database_url: str) -> None:
    async with a_firm(database_url, CountingVenue(fails_at=450)) as firm:
        await fill(firm, 500)
        venue = firm.venue
        assert isinstance(venue, CountingVenue)
        reading = PlatformReading(firm.db, firm.deps.platforms, "fake", lambda *_: None)
        with pytest.raises(Unavailable):
            await reading.round()
        asked = len(venue.asked)
        assert 400 < asked <= 501
        assert await reading.round() == 501 - 400, "two batches of 200 were done"
        assert await reading.round() == 0
        assert set(venue.asked) == set(venue.balances)
        assert len(venue.asked) - asked == 101
