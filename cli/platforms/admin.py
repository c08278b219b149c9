"""Checks of the administration of accounts: ports/platform.py, as a venue keeps it in real life."""

import re
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr

from cli.platforms.world import (
    NO_LOGIN,
    Check,
    Failed,
    World,
    account_key,
    close_key,
    deposit_key,
    expect,
    lock_key,
    trading_key,
)
from domain import keys
from domain.errors import Conflict, IdempotencyMismatch, NotFound, PropOSError, RefusedForGood, Unavailable
from gateway.symbols import describe, unconverted
from ports.platform import AccountSnapshot, BalanceKind

_SECRET: Final = re.compile(
    r"(^|_)(pass|passwd|password|pwd|pin|secret|secrets|token|tokens|credentials?|sec)(_|$)|key$"
)
_TELLING: Final = 6  # characters; a shorter secret may be part of any text
_DEPOSIT, _HOLD = 500_00, 200_00


async def _settings(world: World) -> None:
    model = world.one.plugin.settings
    strict = model.model_config.get("extra") == "forbid"
    expect(
        strict, "A setting that the adapter does not know is not refused.", 'Set extra="forbid" in its model_config.'
    )
    for name, field in model.model_fields.items():
        if _SECRET.search(name) and str in _kinds(field.annotation):
            raise Failed(f"The setting {name} is a secret and is shown as it is.", "Make it a SecretStr.")
    shown = repr(world.one.values)
    secrets = [each.get_secret_value() for each in _secrets(world.one.values)]
    open_ones = [each for each in secrets if len(each) >= _TELLING and each in shown]
    expect(not open_ones, "A secret is in the settings' own text.", "Make every field that holds it a SecretStr.")


def _kinds(annotation: Any) -> set[Any]:
    """The types that an annotation allows."""
    if get_origin(annotation) is None:
        return {annotation}
    return {kind for each in get_args(annotation) for kind in _kinds(each)}


def _secrets(values: BaseModel) -> list[SecretStr]:
    return [value for name in type(values).model_fields if isinstance(value := getattr(values, name), SecretStr)]


async def _name(world: World) -> None:
    for each in (world.platform, world.one.raw_feed):
        expect(
            each is None or each.name == world.one.name,
            "The adapter has another name than the firm gave it.",
            "Keep the `name` that `build` and `feed` are called with.",
        )


async def _healthy(world: World) -> None:
    said = await world.platform.healthy()
    expect(bool(said.strip()), "`healthy` says nothing.", "Return a few words, such as the venue's time.")


async def _symbols(world: World) -> None:
    source = world.one.raw_feed or world.platform
    described = describe(await source.symbols(), world.one.symbols)
    expect(bool(described), "There is no symbol.", "List the venue's symbols, or the group's that accounts trade.")
    missing = [f"{each.spec.symbol}: {', '.join(each.missing)}" for each in described if each.missing]
    expect(not missing, f"{len(missing)} symbols are not complete. {'; '.join(missing[:5])}.", _IN_THE_MAP)
    without = unconverted(described, world.terms.currency)
    expect(
        not without,
        f"No symbol converts {', '.join(without)} into {world.terms.currency}.",
        "Read such a symbol from the venue, such as USDJPY for JPY, or name it in the symbol map.",
    )


_IN_THE_MAP: Final = "Say it in the file that the setting symbols_file names; `propos platform symbols` lists all."


async def _account(world: World) -> None:
    if world.terms.login is not None:
        await world.platform.snapshot(world.terms.login)
        world.login = world.terms.login
    world.needs("creates_accounts")
    platform, key = world.platform, account_key()
    expect(await platform.find_account(key) is None, "An account is found under a key that was never used.", _BY_KEY)
    login = await open_account(world, key)
    if world.login is None:
        world.login = login
    expect(await platform.find_account(key) == login, "A new account is not found by its key.", _BY_KEY)
    expect(await open_account(world, key) == login, "The same key opens a second account.", _BY_KEY)
    other = "EUR" if world.terms.currency != "EUR" else "USD"
    await refuses(
        "The same key with another currency",
        platform.create_account(key=key, group=world.terms.group, currency=other, leverage=world.terms.leverage),
        IdempotencyMismatch,
    )
    new = await platform.snapshot(login)
    expect(
        (new.balance_minor, new.trading_enabled, new.positions) == (0, False, ()),
        "A new account has money, may trade or has positions.",
        "Open it with balance zero and trading disabled.",
    )
    currency = new.currency
    expect(currency == world.terms.currency, f"The new account is in {currency}.", "Open it in the currency asked for.")


_BY_KEY: Final = "Store the key in the venue (a name, a comment), and look it up there before you create."


async def open_account(world: World, key: str) -> int:
    terms = world.terms
    return await world.platform.create_account(
        key=key, group=terms.group, currency=terms.currency, leverage=terms.leverage
    )


async def refuses(what: str, call: Any, kind: type[PropOSError]) -> None:
    """Awaits `call` and expects a refusal of that very class or one below it."""
    try:
        await call
    except PropOSError as exc:
        if isinstance(exc, kind) and not (kind is Conflict and isinstance(exc, RefusedForGood)):
            return
        raise Failed(f"{what} raises {type(exc).__name__}: {exc.message}", f"Raise {kind.__name__}.") from exc
    raise Failed(f"{what} is accepted.", f"Raise {kind.__name__}.")


async def _unknown(world: World) -> None:
    platform = world.platform
    await refuses("The snapshot of an unknown account", platform.snapshot(NO_LOGIN), NotFound)
    can = {each.name for each in world.one.plugin.capabilities.features() if each.able}
    if "moves_balances" in can:
        call = platform.balance_operation(NO_LOGIN, key=deposit_key(), operation="deposit", amount_minor=1_00)
        await refuses("A deposit on an unknown account", call, NotFound)
    if "sets_trading" in can:
        call = platform.set_trading(NO_LOGIN, key=trading_key(), enabled=True)
        await refuses("Enabling an unknown account", call, NotFound)
        await refuses("Locking an unknown account", platform.lock(NO_LOGIN, key=lock_key()), NotFound)


async def _money(world: World) -> None:
    login, platform, key = world.account(), world.platform, deposit_key()
    world.needs("moves_balances", "finds_balance_operations")
    before = (await platform.snapshot(login)).balance_minor
    for _ in range(2):
        await platform.balance_operation(login, key=key, operation="deposit", amount_minor=_DEPOSIT)
    moved = (await platform.snapshot(login)).balance_minor - before
    expect(moved == _DEPOSIT, f"A deposit of {_DEPOSIT} sent twice under one key moved {moved}.", _ONCE)
    await _found(world, login, key, "deposit", _DEPOSIT)
    await _found(world, login, key, "adjustment", None)
    await _found(world, login, deposit_key(), "deposit", None)
    again = platform.balance_operation(login, key=key, operation="deposit", amount_minor=_DEPOSIT + 1)
    await refuses("The same key with another amount", again, IdempotencyMismatch)


_ONCE: Final = "Look the key up (find_balance_operation) before you send, in the comment of the venue's own records."


async def _found(world: World, login: int, key: str, operation: BalanceKind, amount: int | None) -> None:
    found = await world.platform.find_balance_operation(login, key=key, operation=operation)
    expect(found == amount, f"Under operation {operation} and its key {found} is found, and {amount} was moved.", _ONCE)


async def _payout(world: World) -> None:
    login, platform, payout = world.account(), world.platform, keys.new_id("pay")
    world.needs("moves_balances", "finds_balance_operations")
    before = (await platform.snapshot(login)).balance_minor
    steps: tuple[tuple[BalanceKind, int, str], ...] = (
        ("payout_hold", -_HOLD, keys.payout_hold(payout)),
        ("payout_release", _HOLD, keys.payout_release(payout)),
        ("payout_settled", 0, keys.payout_settled(payout)),
    )
    for operation, amount, key in steps:
        await platform.balance_operation(login, key=key, operation=operation, amount_minor=amount)
        await _found(world, login, key, operation, amount)
    after = (await platform.snapshot(login)).balance_minor
    expect(after == before, f"A hold and its release moved the balance from {before} to {after}.", _ONCE)
    too_much = keys.payout_hold(keys.new_id("pay"))
    call = platform.balance_operation(login, key=too_much, operation="payout_hold", amount_minor=-(after + 1))
    await refuses("A hold of more than there is", call, Conflict)
    await _found(world, login, too_much, "payout_hold", None)


async def _trading(world: World) -> None:
    login = world.account()
    world.needs("sets_trading")
    for enabled in (True, False, True):
        await world.platform.set_trading(login, key=trading_key(), enabled=enabled)
        now = (await world.platform.snapshot(login)).trading_enabled
        expect(now == enabled, f"After set_trading(enabled={enabled}) trading_enabled is {now}.", "Read it back.")


async def _positions(world: World) -> None:
    login, platform = world.account(), world.platform
    if world.trade is not None:
        world.needs("sets_trading")
        await platform.set_trading(login, key=trading_key(), enabled=True)
        await world.trade(login)
        held = [each.position_id for each in (await platform.snapshot(login)).positions]
        expect(bool(held), "A position that was opened is not in the snapshot.", "Read positions in `snapshot`.")
        for _ in range(2):
            await platform.close_positions(login, key=close_key(), position_ids=held)
        left = {each.position_id for each in (await platform.snapshot(login)).positions} & set(held)
        expect(not left, "close_positions returned and the positions are open.", "Read again until they are closed.")
    before = await platform.snapshot(login)
    await platform.close_positions(login, key=close_key(), position_ids=["1"])
    after = await platform.snapshot(login)
    expect(
        before.trading_enabled == after.trading_enabled,
        "close_positions changed the permission to trade.",
        "Leave it as it is; only `lock` disables.",
    )


async def _lock(world: World) -> None:
    login, platform, key = world.account(), world.platform, lock_key()
    world.needs("sets_trading")
    await platform.set_trading(login, key=trading_key(), enabled=True)
    if world.trade is not None:
        await world.trade(login)
    await platform.lock(login, key=key)
    _is_locked(await platform.snapshot(login))
    await platform.set_trading(login, key=trading_key(), enabled=True)
    await platform.lock(login, key=key)
    expect(
        (await platform.snapshot(login)).trading_enabled,
        "A lock that is repeated after the account was enabled again locks it again.",
        "Remember the key of a lock at the venue (a comment, a field of the account).",
    )
    await platform.lock(login, key=lock_key())
    _is_locked(await platform.snapshot(login))


def _is_locked(now: AccountSnapshot) -> None:
    expect(not now.trading_enabled, "A locked account may still trade.", "Disable first, then close positions.")
    expect(not now.positions, "A locked account still has positions.", "Close them and read again until it is flat.")


async def _deals(world: World) -> None:
    deals = await world.platform.deals(world.account())
    times = [each.at for each in deals]
    expect(times == sorted(times), "The deals are not in order of time.", "Sort them, oldest first.")
    expect(world.trade is None or bool(deals), "The history has no deal after a trade.", "Read the whole history.")


async def _questions(world: World) -> None:
    """Asks what changes nothing twice, so that a session that ends after a call is noticed."""
    login = world.account()
    try:
        first, second = await world.platform.snapshot(login), await world.platform.snapshot(login)
    except Unavailable as exc:
        raise Failed(f"The venue does not answer twice: {exc.message}", "Sign in again when a session ends.") from exc
    expect(first.login == second.login == login, "The snapshot is of another account.", "Ask for the login given.")


ADMIN: Final = (
    Check("settings", "Unknown settings are refused, and secrets are hidden.", _settings),
    Check("name", "The adapter has the name that the firm gave it.", _name),
    Check("healthy", "The adapter says how the venue is.", _healthy),
    Check("symbols", "Every symbol has a contract size, a currency and a way into the account's currency.", _symbols),
    Check("account", "One key opens one account, which is found again, empty and disabled.", _account),
    Check("snapshot", "The test account can be read, also twice in a row.", _questions),
    Check("unknown-account", "An unknown account is NotFound.", _unknown),
    Check("money", "A deposit happens once for its operation and key, and is found again.", _money),
    Check("payout", "Hold, release and settlement of a payout are found; too much is refused.", _payout),
    Check("trading", "Trading is enabled and disabled.", _trading),
    Check("close-positions", "Positions are closed; those that are closed already are skipped.", _positions),
    Check("deals", "The deal history is in order of time.", _deals),
    Check("lock", "A lock disables trading and closes positions; its late repeat does nothing.", _lock),
)
