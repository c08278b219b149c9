"""Verdicts on orders before they are placed."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator, Field

from domain.errors import BadInput
from domain.orders.order import MOST_PRICE, Order, OrderKind
from domain.orders.verdict import Ahead, BrokenRule, When
from domain.rules.base import ConsequenceKind
from domain.rules.events import Side
from firm.order_checks import DoubtCode, OrderCheck, check_order_of
from front.auth import Caller, Deps, allowed
from front.fields import AccountId, Input, Line
from store.read.pages import View, account_number
from store.scope import FIRM

router = APIRouter(prefix="/v1", tags=["orders"])
Checker = Annotated[Caller, Depends(allowed("orders.check"))]


def _decimal_text(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError('write the number as a string such as "1.0850"')
    return value


Number = Annotated[
    Decimal, BeforeValidator(_decimal_text), Field(gt=0, le=MOST_PRICE, max_digits=19, decimal_places=10)
]
Name = Annotated[Line, Field(max_length=40)]


class OrderToCheck(Input):
    """The account is named by `account_id`, or by `platform` and `login`. Numbers are strings.

    `market` and `pending` need `symbol`, `side` and `lots`; `pending` also `price`. `close` needs `position_id`, and
    takes symbol and side from it; without `lots` it closes all of it. A market order with `position_id` adds to that
    position. `price`: without it the live quote counts.
    """

    account_id: AccountId | None = None
    platform: Name | None = None
    login: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    kind: OrderKind
    symbol: Name | None = None
    side: Side | None = None
    lots: Number | None = None
    price: Number | None = None
    stop: Number | None = None
    take_profit: Number | None = None
    position_id: Name | None = None


class BrokenView(View):
    """A rule that the order would break. `when`: placed, filled or closed. `consequence` is that of offence number
    `offence`. `figures`: of the rule, money in minor units."""

    rule_id: str
    when: When
    offence: int
    consequence: ConsequenceKind
    consequence_words: str
    sentence: str
    figures: dict[str, Any]


class RoomAfterOrder(View):
    """The room to one limit: now, after the order, and when its stop is hit (None without a stop)."""

    rule_id: str
    floor_minor: int
    room_minor: int
    room_after_minor: int
    room_at_stop_minor: int | None


class OrderWarning(View):
    """What the order would lead to later.

    `at_stop`: when its stop is hit. `by_time`: within the next hour, if nothing else happens. `news`: a release within
    the next hour at which the position may not be closed. `may_be_cured`: a limit would be broken, which is an offence
    unless the account is back within it by `at`.
    """

    kind: Ahead
    rule_id: str
    at: datetime | None
    sentence: str


class DoubtView(View):
    """Why the verdict is unknown or stale. `code` is stable."""

    code: DoubtCode
    sentence: str


class RefusalView(View):
    """Why no order is possible on the account. `code` is stable."""

    code: Literal["account_not_active", "account_frozen", "account_paused", "balance_being_reset"]
    sentence: str


class AsOfView(View):
    """The moment of the verdict. `batch`: the last batch of the venue's stream in the account's state. `at` and
    `quote_at`: market time. `recorded_at`: wall time at which the monitor stored last."""

    batch: int | None
    at: datetime | None
    quote_seq: int | None
    quote_at: datetime | None
    recorded_at: datetime | None


class OrderVerdictView(View):
    """`verdict` is `not_allowed` if the account cannot trade or the order would break a rule, whatever its consequence;
    `unknown` if the account or the order cannot be valued. `data`: `live`, `stale` (the verdict is about the moment
    `as_of`), or `unknown`.

    Figures are in minor units of `currency`, after the fill at `price`, without its commission. `risk_minor`: the loss
    if the stop is hit.
    """

    account_id: str
    account_number: str
    platform: str
    login: int | None
    currency: str
    verdict: Literal["allowed", "not_allowed", "unknown"]
    data: Literal["live", "stale", "unknown"]
    refusals: tuple[RefusalView, ...]
    broken: tuple[BrokenView, ...]
    warnings: tuple[OrderWarning, ...]
    rooms: tuple[RoomAfterOrder, ...]
    price: Decimal | None
    balance_minor: int | None
    equity_minor: int | None
    risk_minor: int | None
    equity_at_stop_minor: int | None
    doubts: tuple[DoubtView, ...]
    as_of: AsOfView


@router.post("/orders/check")
async def check_order(body: OrderToCheck, caller: Checker, deps: Deps) -> OrderVerdictView:
    """Says whether an order would break a rule, before it is placed. The account's own rules judge it, on the state
    that the monitor stored last, usually about a second ago. It changes and reserves nothing, so it needs no
    Idempotency-Key."""
    scope = FIRM if caller.actor.role == "venue" else caller.scope
    async with deps.db.transaction() as session:
        found = await check_order_of(
            session,
            scope,
            asked_of(body),
            account_id=body.account_id,
            platform=body.platform,
            login=body.login,
            calendars=deps.calendars,
        )
    return view_of(found)


def asked_of(body: OrderToCheck) -> Order:
    """Raises BadInput for a body that names no account, or half an order."""
    if (body.account_id is None) == (body.platform is None and body.login is None) or (
        body.account_id is None and (body.platform is None or body.login is None)
    ):
        raise BadInput(
            "The account is named by account_id, or by platform and login.",
            field="account_id",
            remedy="Send account_id alone, or platform and login without it.",
        )
    if body.kind == "close":
        if body.position_id is None:
            raise BadInput("A close needs a position.", field="position_id", remedy="Say which position it closes.")
    else:
        for name in ("symbol", "side", "lots"):
            if getattr(body, name) is None:
                raise BadInput(f"An order needs its {name}.", field=name, remedy=f"Add {name}.")
    return Order(
        kind=body.kind,
        symbol=body.symbol or "",
        side=body.side or "buy",
        lots=body.lots or Decimal(0),
        price=body.price,
        stop=body.stop,
        take_profit=body.take_profit,
        position_id=body.position_id,
    )


def view_of(check: OrderCheck) -> OrderVerdictView:
    account, found = check.row.account, check.found
    return OrderVerdictView(
        account_id=account.id,
        account_number=account_number(account.number),
        platform=account.platform,
        login=account.login,
        currency=account.currency,
        verdict=check.verdict,
        data=check.data,
        refusals=tuple(RefusalView(code=each.code, sentence=each.sentence) for each in check.refusals),
        broken=tuple(_broken(each) for each in found.broken) if found else (),
        warnings=tuple(
            OrderWarning(kind=each.kind, rule_id=each.rule_id, at=each.at, sentence=each.sentence)
            for each in (found.warnings if found else ())
        ),
        rooms=tuple(
            RoomAfterOrder(
                rule_id=each.rule_id,
                floor_minor=each.floor_minor,
                room_minor=each.room_minor,
                room_after_minor=each.after_minor,
                room_at_stop_minor=each.at_stop_minor,
            )
            for each in (found.rooms if found else ())
        ),
        price=found.price if found else None,
        balance_minor=found.balance_minor if found else None,
        equity_minor=found.equity_minor if found else None,
        risk_minor=found.risk_minor if found else None,
        equity_at_stop_minor=found.at_stop_minor if found else None,
        doubts=tuple(DoubtView(code=each.code, sentence=each.sentence) for each in check.doubts),
        as_of=AsOfView(
            batch=check.as_of.batch,
            at=check.as_of.at,
            quote_seq=check.as_of.quote_seq,
            quote_at=check.as_of.quote_at,
            recorded_at=check.as_of.recorded_at,
        ),
    )


def _broken(each: BrokenRule) -> BrokenView:
    return BrokenView(
        rule_id=each.rule_id,
        when=each.when,
        offence=each.offence,
        consequence=each.consequence.kind,
        consequence_words=each.consequence.words,
        sentence=each.sentence,
        figures=dict(each.figures),
    )
