"""One round of reconciliation of a trading platform: its accounts against the record. A comparison changes nothing at
the venue; after the daily one the loss limits are sent that a reset has changed.

An account that looks different in the venue's own list, which is of no one moment, is asked for by itself. Where the
reading was is in the database after every batch, so a repeated attempt goes on from there.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

import structlog

from domain.errors import NotFound, PropOSError, Unavailable
from domain.products.second_wall import VenueFloors, differences, floors_json
from domain.venue_accounts import AtVenue, Lots, OnRecord, findings, total
from firm import venue_limits
from firm.reconciliation import venue as compared
from ports.floors import HoldsFloors
from ports.listing import ListedAccount, ListsAccounts
from ports.platform import AccountSnapshot, Platforms, TradingPlatform
from store import venue_limits as kept
from store.clock import market_now
from store.db import Database
from store.models import VenueLimits
from store.reconciliation import venue as rows
from store.reconciliation.venue import RecordedAccount

_ACCOUNTS: Final = 200
_AT_ONCE: Final = 8
_log = structlog.get_logger("reconciliation")


class PlatformReading:
    """`beat` is called after every batch, with what is done and how much."""

    def __init__(self, db: Database, platforms: Platforms, name: str, beat: Callable[..., None]) -> None:
        self._db, self._platforms, self._name, self._beat = db, platforms, name, beat
        self._platform: TradingPlatform = platforms.of(name)

    async def round(self, request: str = "") -> int:
        """Looks again at what differed, and compares every account once a market day or request. Returns how many
        accounts were asked for."""
        asked = await self.look_again()
        async with self._db.transaction() as session:
            day = (await market_now(session)).date()
            done = (await rows.check(session, self._name, day, request)).done
        if not done and isinstance(self._platform, ListsAccounts):
            asked, done = asked + await self._read_list(day, self._platform), True
        while not done:
            count, done = await self._next_batch(day)
            asked += count
        return asked

    async def look_again(self) -> int:
        """Asks for every account with a difference that is not closed. Returns how many."""
        async with self._db.transaction() as session:
            accounts, logins = await rows.doubted(session, self._name)
        for start in range(0, len(accounts), _ACCOUNTS):
            await self._ask(accounts[start : start + _ACCOUNTS])
            self._beat("again", start)
        await self._ask_unknown(logins)
        return len(accounts) + len(logins)

    # the venue's own list

    async def _read_list(self, day: date, platform: ListsAccounts) -> int:
        """Compares the accounts that the venue lists. Those that look different, and those of ours that the list does
        not have, are asked for by themselves. Returns how many accounts there are."""
        listed: set[int] = set()
        async for page in platform.accounts():
            await self._compare_page(page)
            listed |= {each.login for each in page}
            self._beat("listed", len(listed))
        after, missing = "", 0
        while True:
            async with self._db.transaction() as session:
                now = await market_now(session)
                accounts = await rows.next_accounts(session, self._name, now, after=after, limit=_ACCOUNTS)
            lacking = [account for account in accounts if account.login not in listed]
            await self._ask(lacking)
            missing += len(lacking)
            self._beat("missing", missing)
            if len(accounts) < _ACCOUNTS:
                break
            after = accounts[-1].id
        async with self._db.transaction() as session:
            check = await rows.check(session, self._name, day)
            check.done, check.compared, check.ended_at = True, len(listed) + missing, await market_now(session)
        return len(listed) + missing

    async def _compare_page(self, page: Sequence[ListedAccount]) -> None:
        logins = [each.login for each in page]
        async with self._db.transaction() as session:
            known = await rows.by_login(session, self._name, logins)
            ours = await rows.known_logins(session, self._name, logins)
            limits = await kept.held(session, [each.id for each in known.values()])
        differing = []
        for each in page:
            row = known.get(each.login)
            if row is not None and self._looks_different(row, each, limits.get(row.id)):
                differing.append(row)
        shown = {
            known[each.login].id: floors_json(each.floors)
            for each in page
            if each.floors is not None and each.login in known and known[each.login].status == "active"
        }
        async with self._db.transaction() as session:
            await kept.note(session, shown, await market_now(session))
        await self._ask(differing)
        await self._ask_unknown([login for login in logins if login not in ours])

    def _looks_different(self, row: RecordedAccount, listed: ListedAccount, limits: VenueLimits | None) -> bool:
        figures = compared.money_and_lots(row)
        record = OnRecord(active=row.status == "active", currency=row.currency, before=figures, after=figures)
        venue = AtVenue(listed.trading_enabled, listed.balance_minor, self._named(listed.lots))
        if row.status == "active" and listed.floors is not None:
            sent = None if limits is None else limits.sent
            if sent is None or differences(VenueFloors(**sent), listed.floors):
                return True
        return bool(findings(record, venue))

    def _named(self, lots: Lots) -> Lots:
        return total((self._platforms.symbol(self._name, symbol), side, size) for (symbol, side), size in lots.items())

    # one by one

    async def _next_batch(self, day: date) -> tuple[int, bool]:
        """Compares the next accounts of the record with a venue that has no list. Returns how many, and whether they
        were the last."""
        async with self._db.transaction() as session:
            check = await rows.check(session, self._name, day)
            now = await market_now(session)
            accounts = await rows.next_accounts(session, self._name, now, after=check.after, limit=_ACCOUNTS)
        await self._ask(accounts)
        async with self._db.transaction() as session:
            check = await rows.check(session, self._name, day)
            check.done = len(accounts) < _ACCOUNTS
            check.after = accounts[-1].id if accounts else check.after
            check.compared += len(accounts)
            if check.done:
                check.ended_at = await market_now(session)
        self._beat("accounts", len(accounts))
        return len(accounts), len(accounts) < _ACCOUNTS

    async def _ask(self, accounts: Sequence[RecordedAccount]) -> None:
        """Asks the venue for each account, and compares the answer with the record before and after it."""
        gate = asyncio.Semaphore(_AT_ONCE)
        shown = await asyncio.gather(*(self._shown(gate, account.login, account.status) for account in accounts))
        meaning = self._platform.floors_mean if isinstance(self._platform, HoldsFloors) else None
        async with self._db.transaction() as session:
            now = await market_now(session)
            after = await rows.these(session, [account.id for account in accounts])
            for before, venue in zip(accounts, shown, strict=True):
                row = after.get(before.id)
                if row is not None:
                    record = await compared.on_record(session, before, row, venue, meaning, self._name)
                    await compared.compare(session, self._name, row, record, venue, now)

    async def _shown(self, gate: asyncio.Semaphore, login: int, status: str) -> AtVenue | None:
        """Returns the account as the venue shows it; None when it has none."""
        async with gate:
            try:
                snapshot = await self._platform.snapshot(login)
                floors = None
                if status == "active" and isinstance(self._platform, HoldsFloors):
                    floors = await self._platform.floors(login)
            except NotFound:
                return None
        return AtVenue(snapshot.trading_enabled, snapshot.balance_minor, self._lots(snapshot), floors)

    def _lots(self, snapshot: AccountSnapshot) -> Lots:
        return self._named(total((each.symbol, each.side, each.lots) for each in snapshot.positions))

    async def _ask_unknown(self, logins: Sequence[int]) -> None:
        """Asks for accounts that the record does not know, and asks the record again."""
        shown: dict[int, AccountSnapshot] = {}
        for login in logins:
            try:
                shown[login] = await self._platform.snapshot(login)
            except NotFound:
                continue
        async with self._db.transaction() as session:
            now, ours = await market_now(session), await rows.known_logins(session, self._name, logins)
            await compared.known(
                session, self._name, [each for each in logins if each in ours or each not in shown], now
            )
            for login, snapshot in shown.items():
                if login not in ours:
                    venue = AtVenue(snapshot.trading_enabled, snapshot.balance_minor, self._lots(snapshot))
                    await compared.unknown(session, self._name, login, venue, snapshot.currency, now)

    # the second wall

    async def send_limits(self) -> None:
        """Sends the loss limits that a reset may have changed. What a venue refuses shows when they are compared; when
        it cannot be reached, the next round goes on."""
        platform = self._platform
        if not isinstance(platform, HoldsFloors):
            return
        after = ""
        while True:
            async with self._db.transaction() as session:
                accounts = await kept.asked(session, self._name, after=after, limit=_ACCOUNTS)
            if not accounts:
                return
            after = accounts[-1]
            for account_id in accounts:
                try:
                    await venue_limits.send(self._db, account_id, self._name, platform.floors_mean, platform.set_floors)
                except Unavailable as away:
                    _log.warning("limits wait", platform=self._name, error=away.message)
                    return
                except PropOSError as refused:
                    _log.warning("limits refused", platform=self._name, account=account_id, error=refused.message)
                async with self._db.transaction() as session:
                    await kept.answered(session, account_id)
                self._beat("limits", account_id)
