"""The desk of the fake Tradovate: who moves the market, trades for the traders and sets the faults."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from domain.errors import PropOSError
from sandbox.tradovate.config import TEMPLATE_ID
from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults
from sandbox.tradovate.floor import TradingFloor
from sandbox.tradovate.rows import Row
from sandbox.tradovate.trading import Refused


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quote(_Body):
    symbol: str
    bid: Decimal
    ask: Decimal


class Trade(_Body):
    """An order of the trader. `kind` Market fills at once; others wait for `fill`. `forced`: also on an account that
    may not trade."""

    account_id: int
    symbol: str
    action: Literal["Buy", "Sell"]
    quantity: int
    kind: Literal["Market", "Limit", "Stop"] = "Market"
    price: Decimal | None = None
    forced: bool = False


class Filling(_Body):
    order_id: int
    price: Decimal | None = None
    quantity: int | None = None


class Clock(_Body):
    """`at` None: the clock runs again."""

    at: datetime | None


class HostedTrader(_Body):
    """A trader for accounts that may not be there yet. `accounts`: `reference/phase` by the name of the account."""

    reference: str
    temper: str
    seed: int
    leader: str | None = None
    accounts: dict[str, str]


def add_floor(router: APIRouter, floor: TradingFloor) -> None:
    @router.post("/desk/traders")
    async def bind(body: HostedTrader) -> dict[str, Any]:
        try:
            floor.bind(body.reference, body.temper, body.seed, body.leader, body.accounts)
        except PropOSError as refused:
            raise HTTPException(refused.status, refused.message) from refused
        return {}


def add_desk(router: APIRouter, fake: FakeTradovate) -> None:
    _add_faults(router, fake)
    _add_market(router, fake)


def _add_faults(router: APIRouter, fake: FakeTradovate) -> None:
    @router.put("/desk/faults")
    async def set_faults(body: Faults) -> dict[str, int]:
        fake.set_faults(body)
        return dict(fake.hub.faults.uses)

    @router.get("/desk/uses")
    async def uses() -> dict[str, int]:
        return dict(fake.hub.faults.uses)

    @router.get("/desk/book")
    async def book() -> list[dict[str, Any]]:
        return [_book(fake, row) for row in fake.rows.all("account") if row["id"] != TEMPLATE_ID]

    @router.get("/desk/effects")
    async def effects() -> dict[str, int]:
        return dict(fake.calls.effects)

    @router.put("/desk/clock")
    async def clock(body: Clock) -> dict[str, Any]:
        fake.rows.fixed_now = body.at
        return {}

    @router.post("/desk/expire-tokens")
    async def expire() -> dict[str, Any]:
        """Every token ends, and the sockets that use one are told and closed."""
        fake.expire_tokens()
        return {}

    @router.post("/desk/disconnect")
    async def disconnect() -> dict[str, int]:
        sockets = list(fake.hub.sockets)
        for socket in sockets:
            socket.close()
        return {"closed": len(sockets)}


def _add_market(router: APIRouter, fake: FakeTradovate) -> None:
    @router.post("/desk/quote")
    async def quote(body: Quote) -> dict[str, Any]:
        fake.quote(_contract(fake, body.symbol), body.bid, body.ask)
        return {}

    @router.post("/desk/trade")
    async def trade(body: Trade) -> dict[str, Any]:
        """Places an order for the trader; a market order is filled. Answers with the order."""
        contract = _contract(fake, body.symbol)
        with fake.rows.one_call():
            try:
                order = fake.trading.place(
                    *(body.account_id, contract, body.action, body.quantity, body.kind, body.price), admin=body.forced
                )
            except Refused as refused:
                raise HTTPException(409, str(refused)) from refused
            if body.kind == "Market":
                fake.trading.fill(order, body.price)
        return {"orderId": order["id"]}

    @router.post("/desk/fill")
    async def fill(body: Filling) -> dict[str, Any]:
        order = fake.rows.get("order", body.order_id)
        if order is None:
            raise HTTPException(404)
        with fake.rows.one_call():
            made = fake.trading.fill(order, body.price, body.quantity)
        return {"fillId": made["id"]}

    @router.post("/desk/bust/{fill_id}")
    async def bust(fill_id: int) -> dict[str, Any]:
        """The exchange cancels a fill; the venue gives back its profit and keeps the fees."""
        fake.bust(fill_id)
        return {}


def _book(fake: FakeTradovate, account: Row) -> dict[str, Any]:
    """What the venue itself knows of an account, for a judge: fills with their lots, equity now and at its lowest."""
    id, trading = account["id"], fake.trading
    orders = {row["id"] for row in fake.rows.where("order", "accountId", {id})}
    lowest = trading.lowest.get(id)
    return {
        "login": id,
        "fills": {str(row["id"]): str(row["qty"]) for row in fake.rows.where("fill", "orderId", orders)},
        "balance": str(trading.cash(id)["amount"]),
        "equity": str(trading.worth(id)),
        "lowest": None if lowest is None else str(lowest),
        "enabled": trading.status(id)["adminAction"] == "Normal",
        "open": [str(row["id"]) for row in trading.open_positions(id)],
    }


def _contract(fake: FakeTradovate, symbol: str) -> int:
    found = fake.hub.contract(symbol)
    if found is None:
        raise HTTPException(404, f"There is no contract {symbol}.")
    return found
