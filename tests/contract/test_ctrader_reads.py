"""What happens between two questions about an account: each answer is of another instant, and what is told of both is
right all the same."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message as Wire

from adapters.ctrader import history
from adapters.ctrader.link import Link
from adapters.ctrader.platform import CTraderPlatform
from ports.platform import AccountState, StopsChanged
from tests.contract.ctrader_fake import LOT, CTraderFake, ctrader_fake
from tests.contract.ctrader_watched import Watched, once, watched
from wire.ctrader import OpenApiMessages_pb2 as api


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTraderFake]:
    with ctrader_fake(tmp_path_factory.mktemp("ctrader")) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_before(fake: CTraderFake) -> Iterator[None]:
    yield
    fake.clear()
    fake.post("/clock", offset=0)
    fake.price("EURUSD", "1.10000", "1.10010")


@asynccontextmanager
async def down(seen: Watched) -> AsyncIterator[None]:
    """Nobody is connected within, and the gateway has noticed when it ends."""
    lost = seen.gateway.sequencer.counts.reconnects
    seen.fake.fault("ProtoOAApplicationAuthReq", "busy")
    seen.fake.post("/connections/drop")
    yield
    await seen.until(lambda: seen.gateway.sequencer.counts.reconnects > lost)
    seen.fake.clear()


def before_list(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Has this happen once: before the first list of orders or deals is asked for (1), or the other one (2). The clock
    of the venue must be behind ours, so that the list has what happens after its end was chosen."""
    pages, asked = history.pages, list[str]()

    async def asking(link: Link, account: int, name: history.List, *window: int) -> AsyncIterator[history.Page]:
        if name != "cash" and name not in asked:
            asked.append(name)
            if len(asked) == number:
                act()
        async for page in pages(link, account, name, *window):
            yield page

    monkeypatch.setattr(history, "pages", asking)


def behind(fake: CTraderFake) -> None:
    fake.post("/clock", offset=-30_000)


def fill_pending(fake: CTraderFake, login: int) -> int:
    made = fake.order(login, type="limit", price="1.05")
    fake.post(f"/accounts/{login}/orders/{made['order']}/end", how="fill")
    return made["order"]


def states(seen: Watched, login: int) -> list[AccountState]:
    return [state for state in seen.events(AccountState) if state.login == login]


# stops


async def test_a_stop_that_was_removed_while_the_connection_was_down_is_gone(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("removed.json", login)
    async with watched(fake, tmp_path, "removed.json") as seen:
        made = fake.order(login, stop_loss="1.09")
        await seen.until(lambda: seen.deals(login))
        async with down(seen):
            fake.post(f"/accounts/{login}/positions/{made['position']}/stops")
            fake.order(login)
        await seen.until(lambda: len(seen.deals(login)) == 2 and seen.gateway.sequencer.live)
        assert seen.gateway.sequencer.books[login].positions[str(made["position"])].stop_loss is None
        (change,) = seen.events(StopsChanged)
        assert (change.position_id, change.stop_loss) == (str(made["position"]), None)


async def test_a_position_that_was_opened_while_the_connection_was_down_had_its_stops_from_the_beginning(
    fake: CTraderFake, tmp_path: Path
) -> None:
    login = fake.account()
    fake.grant("opened.json", login)
    async with watched(fake, tmp_path, "opened.json") as seen:
        async with down(seen):
            moved = fake.order(login, stop_loss="1.09", take_profit="1.2")
            fake.post(f"/accounts/{login}/positions/{moved['position']}/stops", stop_loss="1.095", take_profit="1.2")
            closed = fake.order(login, stop_loss="1.08")
            fake.close_position(login, closed["position"])
        await seen.until(lambda: len(seen.deals(login)) == 3 and seen.events(StopsChanged))
        told = [(deal.entry, deal.stop_loss, deal.take_profit) for deal in seen.deals(login)]
        assert told == [
            ("in", Decimal("1.09"), Decimal("1.2")),
            ("in", Decimal("1.08"), None),
            ("out", None, None),
        ]
        assert [change.stop_loss for change in seen.events(StopsChanged)] == [Decimal("1.095")]


async def test_a_stop_that_trails_while_the_account_is_asked_about_does_not_go_back(
    fake: CTraderFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = fake.account()
    fake.grant("trails.json", login)
    ask, trailed = Link.ask, list[str]()
    async with watched(fake, tmp_path, "trails.json") as seen:
        made = fake.order(login, stop_loss="1.09")
        await seen.until(lambda: seen.deals(login))

        async def trail_after(self: Link, account: int, requests: Sequence[Wire], **how: Any) -> Any:
            answers = await ask(self, account, requests, **how)
            if len(requests) == 3 and not trailed:
                trailed.append("once")
                fake.post(f"/accounts/{login}/positions/{made['position']}/trail", stop_loss="1.095")
                await self.anonymous(api.ProtoOAVersionReq())  # its answer comes after the event
            return answers

        monkeypatch.setattr(Link, "ask", trail_after)
        await seen.until(lambda: trailed and seen.events(StopsChanged))
        fake.order(login)
        await seen.until(lambda: len(seen.deals(login)) == 2)
        assert [change.stop_loss for change in seen.events(StopsChanged)] == [Decimal("1.095")]


# reasons


async def test_an_order_that_was_placed_and_filled_between_the_two_lists_is_known(
    fake: CTraderFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event tells the fill, so that only the lists do."""
    login = fake.account()
    fake.grant("between.json", login)
    async with watched(fake, tmp_path, "between.json") as seen:
        behind(fake)
        fake.post("/event-faults", faults={"drop": 2}, kinds=["ProtoOAExecutionEvent"])
        before_list(monkeypatch, 2, lambda: fill_pending(fake, login))
        fake.post("/connections/drop")
        await seen.until(lambda: seen.deals(login))
        assert fake.counts()["faults"]["event_drop"] >= 2
        assert [deal.reason for deal in seen.deals(login)] == ["pending_fill"]


async def test_the_platform_too_knows_the_orders_of_its_deals(
    fake: CTraderFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = fake.account()
    fake.grant("deals.json", login)
    platform = CTraderPlatform("ctrader", fake.settings("deals.json"))
    behind(fake)
    before_list(monkeypatch, 2, lambda: fill_pending(fake, login))
    assert "client" not in [deal.reason for deal in await platform.deals(login)]
    assert [deal.reason for deal in await platform.deals(login)] == ["pending_fill"]
    await platform.aclose()


async def test_an_order_that_no_list_has_is_asked_for_by_its_id(fake: CTraderFake, tmp_path: Path) -> None:
    login = fake.account()
    fake.grant("unlisted.json", login)
    platform = CTraderPlatform("ctrader", fake.settings("unlisted.json"))
    async with watched(fake, tmp_path, "unlisted.json") as seen:
        async with down(seen):
            fake.post(f"/accounts/{login}/orders/{fill_pending(fake, login)}/unlist")
            unknown = fake.order(login)["order"]
            fake.post(f"/accounts/{login}/orders/{unknown}/forget")
        await seen.until(lambda: len(seen.deals(login)) == 2)
        assert [deal.reason for deal in seen.deals(login)] == ["pending_fill", "client"]
        assert [deal.reason for deal in await platform.deals(login)] == ["pending_fill", "client"]
    await platform.aclose()


async def test_a_closing_by_the_broker_that_is_also_listed_is_told_as_his(
    fake: CTraderFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the event says who it was. It comes once the account is authorised, while the past is listed."""
    login = fake.account()
    fake.grant("dealer.json", login)
    async with watched(fake, tmp_path, "dealer.json") as seen:
        behind(fake)
        made = fake.order(login)
        await seen.until(lambda: seen.deals(login))
        before_list(monkeypatch, 1, lambda: fake.close_position(login, made["position"], reason="dealer"))
        fake.post("/connections/drop")
        await seen.until(lambda: len(seen.deals(login)) == 2)
        assert [deal.reason for deal in once(seen.deals(login))] == ["client", "dealer"]


# money


async def test_a_profit_that_is_in_the_balance_is_not_counted_as_floating_too(
    fake: CTraderFake, tmp_path: Path
) -> None:
    """A change of worth that was computed before a closing arrives after it."""
    login = fake.account(balance=10_000_00)
    fake.grant("twice.json", login)
    async with watched(fake, tmp_path, "twice.json") as seen:
        await seen.until(lambda: fake.counts()["watched"])
        won, kept = fake.order(login, volume=LOT), fake.order(login, volume=LOT)
        fake.price("EURUSD", "1.11000", "1.11010")
        most = fake.equity(login)
        await seen.until(lambda: most in [state.equity_minor for state in states(seen, login)])
        fake.close_position(login, won["position"], worth_after=True)
        balance = fake.get(f"/accounts/{login}")["balance"]
        await seen.until(lambda: balance in [state.balance_minor for state in states(seen, login)])
        fake.close_position(login, kept["position"], worth_after=True)
        last = fake.order(login)
        await seen.until(lambda: str(last["position"]) in [deal.position_id for deal in seen.deals(login)])
        assert fake.equity(login) < most
        assert max(state.equity_minor for state in states(seen, login)) == most
        flat = fake.get(f"/accounts/{login}")["balance"]
        await seen.until(lambda: (flat, flat) in [(s.balance_minor, s.equity_minor) for s in states(seen, login)])


async def test_an_account_is_judged_again_soon_after_its_worth_could_not_be_asked_for(
    fake: CTraderFake, tmp_path: Path
) -> None:
    login = fake.account(balance=10_000_00)
    fake.grant("silence.json", login)
    async with watched(fake, tmp_path, "silence.json") as seen:
        won, _ = fake.order(login, volume=LOT), fake.order(login, volume=LOT)
        await seen.until(lambda: len(seen.deals(login)) == 2)
        fake.price("EURUSD", "1.11000", "1.11010")
        fake.fault("ProtoOAGetPositionUnrealizedPnLReq", "busy")
        refused = fake.counts()["faults"].get("busy", 0)
        fake.close_position(login, won["position"], worth_after=True)
        await seen.until(lambda: len(seen.deals(login)) == 3 and fake.counts()["faults"].get("busy", 0) > refused)
        balance = fake.get(f"/accounts/{login}")["balance"]
        assert balance not in [state.balance_minor for state in states(seen, login)]
        fake.clear()
        right = (balance, fake.equity(login))  # nothing moves any more
        await seen.until(lambda: right in [(s.balance_minor, s.equity_minor) for s in states(seen, login)])
        assert {s.equity_minor for s in states(seen, login) if s.balance_minor == balance} == {right[1]}
