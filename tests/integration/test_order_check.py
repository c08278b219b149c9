"""A verdict on an order before it is placed, on the record that a real monitor wrote."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from domain.errors import BadInput, NotFound
from domain.orders.order import Order
from domain.products.product import Product
from firm.order_checks import OrderCheck, check_order_of
from store.db import Database
from store.news import NewRelease, add_releases
from store.scope import FIRM, Scope
from tests.integration.recorded_feed import START, Script, opened, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record, rows

LOTS: Final = {"type": "max_exposure", "limit": "12"}
STOP: Final = {"type": "required_stop", "grace_seconds": 0, "consequences": [{"kind": "close_position"}]}
SOON_FLAT: Final = {"type": "flat_by", "time": "10:30", "zone": "Europe/Prague"}  # half an hour after the script begins
NEWS: Final = {
    "type": "news_window",
    "before_minutes": 2,
    "after_minutes": 2,
    "applies_to": ["open", "close"],
    "consequences": [{"kind": "warn"}],
}


def terms(*rules: dict[str, Any], daily: dict[str, Any] | None = None) -> Product:
    """The two-step product, whose daily limit is 5,000.00, with these rules of conduct."""
    made = two_step().model_dump(mode="json")
    first = made["phases"][0]["rules"]
    first[0] |= daily or {}
    made["phases"][0]["rules"] = [*first, *rules]
    return Product.model_validate(made)


def judged(database_url: str, product: Product, script: Script | None = None) -> None:
    """Account 1 on the record of a monitor: long 10 lots EURUSD at 1.38000, unless `script` says otherwise."""
    on_record(database_url, {1: (product, 1)})
    judge(database_url, ScriptedVenue((script or opened()).batches))


async def judged_with_news(database_url: str, product: Product, after: timedelta) -> None:
    """As `judged`, with a release so long after the start; the monitor reads releases once a minute."""
    async with session_of(database_url) as session:
        await add_releases(session, [NewRelease("nfp", START + after, None, (), "high", "Payrolls")])
    script = opened()
    script.at += timedelta(minutes=1)
    script.tick("1.38000")
    script.batch(flush=True)
    judged(database_url, product, script)


@asynccontextmanager
async def session_of(database_url: str) -> AsyncIterator[Any]:
    db = Database(database_url, pool_size=1)
    try:
        async with db.transaction() as session:
            yield session
    finally:
        await db.close()


async def asked(database_url: str, lots: str = "1", **order: Any) -> OrderCheck:
    """The verdict on buying EURUSD at the market, unless `order` says otherwise."""
    values: dict[str, Any] = {"kind": "market", "symbol": "EURUSD", "side": "buy", "lots": Decimal(lots)} | order
    numbers = ("price", "stop", "take_profit")
    values |= {name: Decimal(values[name]) for name in numbers if name in values}
    async with session_of(database_url) as session:
        return await check_order_of(session, FIRM, Order(**values), platform="sandbox", login=1)


def broken(check: OrderCheck) -> list[tuple[str, str, int, str]]:
    assert check.found is not None
    return [(each.rule_id, each.when, each.offence, each.consequence.kind) for each in check.found.broken]


def warned(check: OrderCheck) -> list[tuple[str, str]]:
    assert check.found is not None
    return [(each.kind, each.rule_id) for each in check.found.warnings]


async def test_what_the_monitor_would_find_is_found_before(database_url: str) -> None:
    """The check, and then the monitor for the same fill: one rule, one offence, one sentence."""
    script = opened()
    on_record(database_url, {1: (terms(LOTS | {"consequences": [{"kind": "warn"}]}), 1)})
    venue = ScriptedVenue(script.batches)
    judge(database_url, venue)
    assert (await asked(database_url, "2")).verdict == "allowed"
    before = await asked(database_url, "3")
    assert (before.verdict, broken(before)) == ("not_allowed", [("max_exposure", "filled", 1, "warn")])
    script.deal(1, "p2", "3", "1.38000", "in")
    script.batch(flush=True)
    judge(database_url, venue)
    assert before.found is not None
    [(sentence, offence)] = rows(database_url, "SELECT sentence, offence FROM offences")
    assert (before.found.broken[0].sentence, before.found.broken[0].offence) == (sentence, offence)
    assert broken(await asked(database_url, "1")) == [("max_exposure", "filled", 2, "warn")], "the next is the second"


async def test_a_stop_says_what_is_lost_and_which_floor_it_reaches(database_url: str) -> None:
    judged(database_url, terms())
    safe = await asked(database_url, "10", stop="1.37501")  # 4,990.00
    assert safe.found is not None
    assert (safe.verdict, safe.found.risk_minor, safe.found.at_stop_minor) == ("allowed", 499_000, 9_501_000)
    assert warned(safe) == []
    rooms = {room.rule_id: room for room in safe.found.rooms}
    assert (rooms["daily_loss"].room_minor, rooms["daily_loss"].after_minor) == (500_000, 500_000)
    assert rooms["daily_loss"].at_stop_minor == 1_000
    wide = await asked(database_url, "10", stop="1.37499")
    assert (wide.verdict, warned(wide)) == ("allowed", [("at_stop", "daily_loss")])
    with pytest.raises(BadInput, match="above the price") as wrong:
        await asked(database_url, "10", stop="1.39")
    assert wrong.value.field == "stop"


async def test_the_spread_of_a_fill_may_break_a_floor(database_url: str) -> None:
    script = opened()
    script.tick("1.37500", "1.37501")  # 5,000.00 are lost: equity exactly at the floor is allowed
    script.batch(flush=True)
    judged(database_url, terms(), script)
    found = await asked(database_url, "1")
    assert (found.verdict, broken(found)) == ("not_allowed", [("daily_loss", "filled", 1, "fail")])
    assert found.found is not None
    assert found.found.equity_minor == 9_499_900
    assert "95,000.00 USD" in found.found.broken[0].sentence
    assert (await asked(database_url, "0.0001")).verdict == "allowed", "a spread below half a cent"


async def test_a_limit_that_is_an_offence_already_is_no_new_one(database_url: str) -> None:
    script = opened()
    script.tick("1.37400", "1.37401")
    script.batch(flush=True)
    judged(database_url, terms(daily={"consequences": [{"kind": "warn"}]}), script)
    found = await asked(database_url, "1")
    assert (found.verdict, broken(found)) == ("allowed", [])


async def test_a_limit_that_may_be_cured_is_a_warning(database_url: str) -> None:
    script = opened()
    script.tick("1.37500", "1.37501")
    script.batch(flush=True)
    judged(database_url, terms(daily={"cure": {"minutes": 10}}), script)
    found = await asked(database_url, "1")
    assert (found.verdict, warned(found)) == ("allowed", [("may_be_cured", "daily_loss")])


async def test_rules_of_the_order_itself(database_url: str) -> None:
    judged(database_url, terms(STOP))
    assert broken(await asked(database_url)) == [("required_stop", "filled", 2, "close_position")]
    assert broken(await asked(database_url, stop="1.37")) == []
    pending = await asked(database_url, kind="pending", price="1.37")
    assert broken(pending) == [("required_stop", "filled", 2, "close_position")]


async def test_what_time_and_news_will_bring_within_the_hour(database_url: str) -> None:
    await judged_with_news(database_url, terms(SOON_FLAT, NEWS), timedelta(minutes=20))
    found = await asked(database_url)
    assert (found.verdict, warned(found)) == ("allowed", [("by_time", "flat_by"), ("news", "news_window")])


async def test_news_of_the_moment_forbid_the_order(database_url: str) -> None:
    await judged_with_news(database_url, terms(NEWS), timedelta(minutes=2))
    assert broken(await asked(database_url)) == [("news_window", "filled", 1, "warn")]
    close = await asked(database_url, "10", kind="close", position_id="p1")
    assert broken(close) == [("news_window", "closed", 1, "warn")]


async def test_a_close_books_the_result(database_url: str) -> None:
    script = opened()
    script.tick("1.38100", "1.38110")
    script.batch(flush=True)
    judged(database_url, terms(), script)
    whole = await asked(database_url, "0", kind="close", position_id="p1", symbol="")
    assert whole.found is not None
    assert (whole.found.price, whole.found.balance_minor, whole.found.equity_minor) == (
        Decimal("1.381"),
        10_100_000,
        10_100_000,
    )
    part = await asked(database_url, "4", kind="close", position_id="p1")
    assert part.found is not None
    assert (part.found.balance_minor, part.found.equity_minor) == (10_040_000, 10_100_000)
    with pytest.raises(BadInput, match="has 10 lots"):
        await asked(database_url, "11", kind="close", position_id="p1")
    with pytest.raises(BadInput, match="not open"):
        await asked(database_url, kind="close", position_id="p9")


async def test_what_is_not_known_is_said(database_url: str) -> None:
    on_record(database_url, {1: (terms(), 1)})
    first = await asked(database_url)
    assert (first.verdict, first.data, [doubt.code for doubt in first.doubts]) == (
        "unknown",
        "unknown",
        ["no_checkpoint"],
    )
    judge(database_url, ScriptedVenue(opened().batches))
    gold = await asked(database_url, symbol="XAUUSD")
    assert (gold.verdict, gold.data, [doubt.code for doubt in gold.doubts]) == ("unknown", "unknown", ["price_unknown"])
    assert (await asked(database_url, symbol="XAUUSD", price="1300")).verdict == "allowed", "its price is given"


async def test_a_record_that_is_behind_is_stale(database_url: str) -> None:
    judged(database_url, terms())
    rows(database_url, "UPDATE shards SET checkpoint_at = checkpoint_at - interval '1 minute' RETURNING 1")
    late = await asked(database_url)
    assert (late.verdict, late.data, [doubt.code for doubt in late.doubts]) == ("allowed", "stale", ["monitor_behind"])
    assert late.as_of.batch == 1
    assert late.as_of.quote_seq == 1


async def test_an_account_that_has_ended_takes_no_order(database_url: str) -> None:
    script = opened()
    script.tick("1.37499")
    script.batch(flush=True)
    judged(database_url, terms(), script)
    found = await asked(database_url)
    assert (found.verdict, [refusal.code for refusal in found.refusals]) == ("not_allowed", ["account_not_active"])


async def test_a_paused_account_takes_no_order(database_url: str) -> None:
    script = opened()
    script.tick("1.37499")
    script.batch(flush=True)
    judged(database_url, terms(daily={"consequences": [{"kind": "pause_until_reset"}]}), script)
    found = await asked(database_url)
    assert (found.verdict, [refusal.code for refusal in found.refusals]) == ("not_allowed", ["account_paused"])


async def test_only_the_owner_and_the_firm(database_url: str) -> None:
    judged(database_url, terms())
    order = Order("market", "EURUSD", "buy", Decimal(1))
    async with session_of(database_url) as session:
        assert (await check_order_of(session, Scope("trd_1"), order, account_id="acc_1")).verdict == "allowed"
        with pytest.raises(NotFound):
            await check_order_of(session, Scope("trd_2"), order, account_id="acc_1")
