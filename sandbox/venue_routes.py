"""Routes of the simulated platform, of market control and of hosted traders."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from domain.money import Currency, ExactDecimal
from ports.platform import FIRST_READER, AccountSnapshot, BalanceKind, ClockReading, Side, SymbolSpec
from sandbox.instants import to_us
from sandbox.market import SimulatedMarket

_LISTED = 500  # accounts in one answer

Key = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewAccount(_Body):
    key: Key
    group: Key
    currency: Currency
    leverage: int = Field(ge=1, le=1000)


class BalanceChange(_Body):
    key: Key
    operation: BalanceKind
    amount_minor: int = Field(strict=True, ge=-(10**15), le=10**15)


class TradingSwitch(_Body):
    key: Key
    enabled: bool


class CloseOnly(_Body):
    key: Key
    close_only: bool


class Stop(_Body):
    """Of the trading of all accounts, in a symbol or in everything."""

    key: Key
    symbol: str | None
    stopped: bool


class NewPassword(_Body):
    key: Key
    password: SecretStr


class Lock(_Body):
    key: Key


class Closing(_Body):
    key: Key
    position_ids: list[str]


class CorrectionBody(_Body):
    """The right values of event `corrects_seq`. Without values, the event is cancelled."""

    corrects_seq: int = Field(ge=1)
    bid: ExactDecimal | None = None
    ask: ExactDecimal | None = None
    change_minor: int | None = None
    reason: str = ""


class LockOf(_Body):
    login: int
    key: Key


class Locks(_Body):
    locks: list[LockOf]


class Order(_Body):
    """A market order. With `position_id`, it closes that position."""

    key: Key
    symbol: str
    side: Side
    lots: ExactDecimal
    position_id: str | None = None
    stop_loss: ExactDecimal | None = None
    take_profit: ExactDecimal | None = None


class Stops(_Body):
    """The stop loss and the take profit of an open position from now on; None: none."""

    stop_loss: ExactDecimal | None = None
    take_profit: ExactDecimal | None = None


class _Ack(_Body):
    number: int = Field(ge=0)
    keep_after: int = Field(ge=0)
    reader: Key = FIRST_READER
    news: int = Field(0, ge=0)


class Advance(_Body):
    until: AwareDatetime
    pause: bool = False


class HostedTrader(_Body):
    """A trader for the accounts with this reference. A copier needs the reference of its leader."""

    reference: Key
    temper: str
    seed: int
    leader: str | None = None


def venue_router(market: SimulatedMarket, seed: int) -> APIRouter:
    """Returns all routes of one market. `seed` is for the price model after going live.

    An effect is in the journal before the answer is sent.
    """
    router = APIRouter()
    _add_accounts(router, market)
    _add_trading(router, market)
    _add_access(router, market)
    _add_stream(router, market)
    _add_control(router, market, seed)
    _add_traders(router, market)
    return router


def _add_accounts(router: APIRouter, market: SimulatedMarket) -> None:
    venue = market.venue

    @router.post("/venue/accounts")
    async def create_account(body: NewAccount) -> dict[str, int]:
        login = venue.create_account(body.key, body.group, body.currency, body.leverage)
        market.desk.adopt(venue.account(login))
        market.commit()
        return {"login": login}

    @router.get("/venue/accounts")
    async def find_account(key: Key) -> dict[str, int | None]:
        return {"login": venue.find_account(key)}

    @router.post("/venue/accounts/{login}/balance", status_code=204)
    async def change_balance(login: int, body: BalanceChange) -> None:
        venue.balance_operation(login, body.key, body.operation, body.amount_minor)
        market.commit()

    @router.get("/venue/accounts/{login}/balance")
    async def find_balance(login: int, key: Key, operation: BalanceKind) -> dict[str, int | None]:
        return {"amount_minor": venue.find_balance_operation(login, key, operation)}

    @router.get("/venue/accounts/{login}")
    async def snapshot(login: int) -> Response:
        return _json(market.snapshot(login).model_dump_json())

    @router.get("/venue/listing")
    async def listing(after: Annotated[int, Query(ge=0)] = 0) -> list[AccountSnapshot]:
        """The next accounts by login."""
        logins = sorted(login for login in venue.accounts if login > after)[:_LISTED]
        return [market.snapshot(login) for login in logins]

    @router.get("/venue/accounts/{login}/deals")
    async def deals(login: int) -> Response:
        return _json(market.deals(login))

    @router.get("/venue/clock")
    async def clock() -> ClockReading:
        """The market time of the sandbox is that of the firm."""
        return ClockReading(ahead_us=0, simulated=True)

    @router.get("/venue/symbols")
    async def symbols() -> list[SymbolSpec]:
        return list(venue.specs.values())


def _add_trading(router: APIRouter, market: SimulatedMarket) -> None:
    venue = market.venue

    @router.post("/venue/accounts/{login}/lock", status_code=204)
    async def lock(login: int, body: Lock) -> None:
        venue.lock(login, body.key)
        market.commit()

    @router.post("/venue/accounts/{login}/close", status_code=204)
    async def close_positions(login: int, body: Closing) -> None:
        venue.close_positions(login, body.key, body.position_ids)
        market.commit()

    @router.post("/venue/locks", status_code=204)
    async def lock_many(body: Locks) -> None:
        for item in body.locks:
            venue.account(item.login)  # all or none
        for item in body.locks:
            venue.lock(item.login, item.key)
        market.commit()

    @router.post("/venue/accounts/{login}/orders")
    async def order(login: int, body: Order) -> dict[str, str]:
        position_id = venue.order(login, **body.model_dump())
        market.commit()
        return {"position_id": position_id}

    @router.put("/venue/accounts/{login}/positions/{position_id}/stops", status_code=204)
    async def protect(login: int, position_id: str, body: Stops) -> None:
        venue.protect(login, position_id, body.stop_loss, body.take_profit)
        market.commit()


def _add_access(router: APIRouter, market: SimulatedMarket) -> None:
    access = market.venue.access

    @router.post("/venue/accounts/{login}/trading", status_code=204)
    async def switch_trading(login: int, body: TradingSwitch) -> None:
        access.set_trading(login, body.key, body.enabled)
        market.commit()

    @router.post("/venue/accounts/{login}/close-only", status_code=204)
    async def limit_to_closing(login: int, body: CloseOnly) -> None:
        access.set_close_only(login, body.key, body.close_only)
        market.commit()

    @router.post("/venue/accounts/{login}/password", status_code=204)
    async def set_password(login: int, body: NewPassword) -> None:
        access.set_password(login, body.key, body.password.get_secret_value())
        market.commit()

    @router.post("/venue/stops", status_code=204)
    async def stop(body: Stop) -> None:
        access.set_stopped(body.key, body.symbol, body.stopped)
        market.commit()

    @router.get("/venue/stops")
    async def stops() -> list[str | None]:
        return sorted(access.stopped(), key=lambda each: each or "")


def acknowledgements(market: SimulatedMarket) -> Callable[[bytes], None]:
    """Returns what takes the acknowledgements of batches."""

    def take(body: bytes) -> None:
        ack = _Ack.model_validate_json(body)
        market.acknowledge(ack.number, ack.keep_after, ack.reader, ack.news)

    return take


def _add_stream(router: APIRouter, market: SimulatedMarket) -> None:
    @router.get("/venue/stream")
    async def stream(
        after: Annotated[int, Query(ge=0)] = 0,
        reader: Key = FIRST_READER,
        behind: Annotated[int, Query(ge=0, le=1000)] = 0,
    ) -> StreamingResponse:
        market.check_after(after)
        market.join(reader, after, behind)
        lines: AsyncIterator[str] = market.stream(after)
        return StreamingResponse(lines, media_type="application/x-ndjson")


def _add_control(router: APIRouter, market: SimulatedMarket, seed: int) -> None:
    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/market")
    async def state() -> dict[str, Any]:
        return {
            "market_time": market.market_time,
            "mode": market.mode,
            "running": market.running,
            "batch": market.number,
            "acked": market.readers.acked,
            "readers": market.readers.positions(),
            "news": sum(market.neighbours.news()),
            "pending_news": market.neighbours.unheard(),
            "last_quotes": market.last_quotes(),
            "feed_ends_at": market.feed_ends_at,
            "ticks": market.ticks,
        }

    @router.post("/market/advance")
    async def advance(body: Advance) -> dict[str, Any]:
        ticks = await market.advance(to_us(body.until), pause=body.pause)
        return {"market_time": market.market_time, "batch": market.number, "ticks": ticks}

    @router.post("/market/corrections", status_code=204)
    async def correct(body: CorrectionBody) -> None:
        market.venue.correct(**body.model_dump())
        market.commit()

    @router.post("/market/live")
    async def go_live() -> dict[str, Any]:
        await market.go_live(seed)
        return {"market_time": market.market_time, "mode": market.mode, "batch": market.number}


def _add_traders(router: APIRouter, market: SimulatedMarket) -> None:
    @router.post("/traders", status_code=204)
    async def bind(body: HostedTrader) -> None:
        market.desk.bind(body.reference, body.temper, body.seed, body.leader)
        market.commit()


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
