"""Checks of what a gateway reads: ports/venue.py, through the real reader, sequencer and journal."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cli.platforms.admin import open_account
from cli.platforms.session import Session
from cli.platforms.world import Check, Skipped, World, account_key, deposit_key, expect, lock_key, trading_key
from ports.platform import BalanceOperation, Deal, Event
from ports.venue import CONNECTED, Decoder, Fact, Message, Money, Snapshot, Unreadable

_AMOUNT: Final = 250_00


async def _connect(world: World) -> None:
    feed, values = world.feed(), world.gateway()
    folder = TemporaryDirectory(prefix="propos-check-")
    session = Session(feed, values, Path(folder.name))
    world.closing.append(folder.cleanup)
    session.start()
    world.session = session
    live = await session.until(lambda: session.sequencer.live, world.terms.patience)
    expect(live, f"The feed does not reach CaughtUp. {session.trouble()}", _CAUGHT_UP)


_CAUGHT_UP: Final = (
    "After what happened since the cursors and a snapshot of every account, send the message of CaughtUp."
)


async def _feed_symbols(world: World) -> None:
    of_feed = {each.symbol for each in await world.feed().symbols()}
    of_platform = {world.one.symbols.name(each.symbol) for each in await world.platform.symbols()}
    differ = sorted(of_feed ^ of_platform)
    expect(
        not differ,
        f"Feed and platform list other symbols: {', '.join(differ[:10])}.",
        "Let both read the same list.",
    )


async def _snapshots(world: World) -> None:
    session, login = world.live(), world.account()
    told = await session.until(lambda: login in session.sequencer.books, world.terms.patience)
    expect(told, f"No snapshot of account {login} arrives. {session.trouble()}", _SNAPSHOTS)
    book, venue = session.sequencer.books[login], await world.platform.snapshot(login)
    expect(
        (book.balance_minor, book.currency, book.enabled)
        == (venue.balance_minor, venue.currency, venue.trading_enabled),
        f"The feed has {book.balance_minor} {book.currency} on account {login},"
        f" and the platform {venue.balance_minor} {venue.currency}, in minor units.",
        "Read balance, currency and permission from the same fields in both halves.",
    )


_SNAPSHOTS: Final = "Send a snapshot of every account of the firm before CaughtUp."


async def _new_account(world: World) -> None:
    session = world.live()
    world.needs("creates_accounts")
    login = await open_account(world, account_key())
    told = await session.until(lambda: login in session.sequencer.books, world.terms.patience)
    expect(
        told,
        f"Account {login}, opened while the feed was connected, does not arrive. {session.trouble()}",
        "Send Access(opened) or a Snapshot of accounts that are new, by push or by a poll.",
    )
    world.newest = login


async def _deposit(world: World) -> None:
    session, login = world.live(), world.newest or world.account()
    world.needs("moves_balances")
    await _deposited(world, session, login)


async def _deposited(world: World, session: Session, login: int) -> None:
    key = deposit_key()
    await world.platform.balance_operation(login, key=key, operation="deposit", amount_minor=_AMOUNT)
    told = await session.until(lambda: bool(_operations(session, key)), world.terms.patience)
    expect(told, f"A deposit on account {login} does not arrive under its key. {session.trouble()}", _MONEY)
    each = _operations(session, key)[0]
    expect(
        (each.login, each.operation, each.amount_minor) == (login, "deposit", _AMOUNT),
        f"The deposit arrives as {each.operation} of {each.amount_minor} on account {each.login}.",
        _MONEY,
    )
    world.deposits.append(key)


_MONEY: Final = "Decode balance operations as Money with the venue's id and the key of ours that they carry."


def _operations(session: Session, key: str) -> list[BalanceOperation]:
    return [each for each in session.events() if isinstance(each, BalanceOperation) and each.key == key]


async def _access(world: World) -> None:
    session, login = world.live(), world.newest or world.account()
    world.needs("sets_trading")
    for enabled in (True, False):
        await world.platform.set_trading(login, key=trading_key(), enabled=enabled)
        told = await session.until(lambda wanted=enabled: _enabled(session, login) == wanted, world.terms.patience)  # type: ignore[misc]
        change = "enabled" if enabled else "disabled"
        expect(
            told,
            f"Account {login} was {change}, and the feed does not say so. {session.trouble()}",
            "Send Access, or snapshots with trading_enabled, when the permission to trade changes.",
        )


def _enabled(session: Session, login: int) -> bool | None:
    """What the gateway knows of the permission to trade; None before it knows the account."""
    book = session.sequencer.books.get(login)
    return None if book is None else book.enabled


async def _fills(world: World) -> None:
    session, login = world.live(), world.newest or world.account()
    if world.trade is None:
        raise Skipped("No position can be opened through the port. Give `trade` to `check_platform` in a test.")
    world.needs("sets_trading")
    await world.platform.set_trading(login, key=trading_key(), enabled=True)
    await world.trade(login)
    await world.platform.lock(login, key=lock_key())
    told = await session.until(lambda: {"in", "out"} <= _entries(session, login), world.terms.patience)
    expect(
        told, f"The fills of account {login} do not arrive. {session.trouble()}", "Decode the venue's deals as Fill."
    )
    symbols = {each.symbol for each in await world.feed().symbols()}
    unknown = {each.symbol for each in session.events() if isinstance(each, Deal)} - symbols
    expect(not unknown, f"Fills name unknown symbols: {', '.join(sorted(unknown))}.", "Use the names of `symbols`.")
    venue, book = await world.platform.snapshot(login), session.sequencer.books[login]
    agree = await session.until(lambda: book.balance_minor == venue.balance_minor, world.terms.patience)
    expect(agree, f"The fills add up to {book.balance_minor}, the venue has {venue.balance_minor}.", "Send all costs.")


def _entries(session: Session, login: int) -> set[str]:
    return {each.entry for each in session.events() if isinstance(each, Deal) and each.login == login}


async def _reconnect(world: World) -> None:
    session, login = world.live(), world.newest or world.account()
    before = len(session.events())
    expect(
        await session.stop(),
        "The feed goes on after it was cancelled: the gateway cannot stop.",
        "Use asyncio.timeout. asyncio.wait_for can lose a cancellation in Python 3.11.",
    )
    session.start()
    live = await session.until(lambda: session.sequencer.live, world.terms.patience)
    expect(live, f"The feed does not reach CaughtUp again. {session.trouble()}", _CAUGHT_UP)
    if world.deposits:  # one more shows that everything before it has been told
        await _deposited(world, session, login)
    events = session.events()
    twice = [name for name, count in Counter(_identities(events)).items() if count > 1]
    expect(not twice, f"{twice[:1]} is told twice after a restart.", "Give a fact the same id whenever it is sent.")
    odd = [each for each in events[before:] if isinstance(each, BalanceOperation) and each.key not in world.deposits]
    expect(not odd, "After a restart old balance operations are told as new.", "Give Money the venue's own id.")
    seqs = [each.seq for each in events]
    expect(
        seqs == sorted(set(seqs)), "The sequence has gaps or repeats.", "Report this: it is a defect of the gateway."
    )


def _identities(events: list[Event]) -> list[str]:
    found = []
    for each in events:
        if isinstance(each, Deal):
            found.append(f"fill {each.deal_id}")
        elif isinstance(each, BalanceOperation):
            found.append(f"operation {each.operation} of {each.key}")
    return found


async def _asked(world: World) -> None:
    """`fills` and `snapshots`, which the gateway asks when its book and the venue differ."""
    session, login = world.live(), world.newest or world.account()
    await session.stop()
    world.recorded = session.messages()
    raw = world.feed()
    decoder = _warm(raw.decoder(), world.recorded)
    snapshots = [fact async for fact in _facts(decoder, raw.snapshots([login]))]
    venue = (await world.platform.snapshot(login)).balance_minor
    balances = [
        each.account.balance_minor for each in snapshots if isinstance(each, Snapshot) and each.account.login == login
    ]
    expect(
        balances == [venue], f"`snapshots` says {balances}, and the balance is {venue}.", "Read the account asked for."
    )
    fills = [fact async for fact in _facts(decoder, raw.fills(login, ""))]
    keys = {each.key for each in fills if isinstance(each, Money) and each.login == login}
    missing = set(world.deposits) - keys if world.newest else set()
    expect(not missing, f"`fills` leaves out {len(missing)} balance operations.", "Read deals and balance operations.")


def _warm(decoder: Decoder, messages: list[Message]) -> Decoder:
    """A decoder that has read these messages, as the one of a live connection has."""
    for message in messages:
        if message.channel != CONNECTED:
            list(_readable(decoder, message))
    return decoder


def _readable(decoder: Decoder, message: Message) -> list[Fact]:
    facts: list[Fact] = []
    with suppress(Unreadable):
        facts.extend(decoder.facts(message))
    return facts


async def _facts(decoder: Decoder, messages: AsyncIterator[Message]) -> AsyncIterator[Fact]:
    async for message in messages:
        for fact in decoder.facts(message):
            yield fact


FEED: Final = (
    Check("connect", "The feed connects and reaches CaughtUp.", _connect),
    Check("feed-symbols", "Feed and platform list the same symbols.", _feed_symbols),
    Check("first-snapshot", "A snapshot of every account arrives, and it is right.", _snapshots),
    Check("new-account", "An account that is opened later arrives.", _new_account),
    Check("feed-money", "A deposit arrives once, with its key and amount.", _deposit),
    Check("feed-access", "Changes of the permission to trade arrive.", _access),
    Check("feed-fills", "Fills arrive and add up to the venue's balance.", _fills),
    Check("reconnect", "After a restart the feed continues from its cursors, and nothing is told twice.", _reconnect),
    Check("asked", "Fills and snapshots of one account are there when they are asked for.", _asked),
)
