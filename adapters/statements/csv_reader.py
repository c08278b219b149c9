"""Reads a CSV file of closed trades or of fills. A mapping describes its columns."""

from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

from adapters.statements.csv_mapping import Mapping
from adapters.statements.csv_rows import Line, Table
from adapters.statements.money_words import MoneyKind
from adapters.statements.tables import Origin
from domain.clocks import zone_of
from domain.file_errors import StatementInvalid
from domain.histories.statement_fills import closed_by_deals
from domain.histories.statements import (
    BalanceRow,
    Side,
    Statement,
    StatementDeal,
    StatementPosition,
    StatementSummary,
)
from domain.money import from_minor, to_minor
from domain.wording import money

ASSUMED: Final = "assumed"
_OPENING: Final = ("open", "opening", "in", "entry")
_CLOSING: Final = ("close", "closing", "out", "exit")


@dataclass(frozen=True, slots=True)
class Assumed:
    """The account of the product: it is assumed where neither the file nor the mapping says an initial balance."""

    currency: str
    initial_minor: int


@dataclass(slots=True)
class _Found:
    trades: list[StatementPosition]
    deals: list[StatementDeal]
    money: list[BalanceRow]
    balances: list[tuple[datetime, int, int, int]]  # time, row, balance after it, net of the row
    profit_minor: int = 0


def read(text: str, origin: Origin, mapping: Mapping, assumed: Assumed | None = None) -> Statement:
    """Returns the history in a CSV. Raises StatementInvalid with the row and the reason."""
    currency = mapping.currency or (assumed.currency if assumed else None)
    if currency is None:
        raise StatementInvalid(
            f"The mapping does not say the currency, and {origin.file} cannot.",
            field="currency",
            remedy="Add it to the mapping.",
        )
    zone = _zone(mapping, origin)
    table = Table(text, origin.file, mapping)
    _check_costs(table)
    found = _Found([], [], [], [])
    for line in table.lines():
        _take(line, zone, currency, found)
    if not found.trades and not found.deals:
        raise StatementInvalid(f"{origin.file} holds no trades.", remedy="Check the mapping's `only` and `heading`.")
    if assumed is not None and assumed.currency != currency:
        assumed = None
    statement = Statement(
        source="csv",
        account=mapping.account,
        currency=currency,
        **replace(origin, zone_name=mapping.zone or origin.zone_name).named,
        printed_at=None,
        closed=tuple(found.trades),
        open_positions=(),
        deals=tuple(found.deals),
        balance_rows=(*_deposit(found, mapping, currency, origin.file, assumed), *found.money),
        netting=False,
        summary=StatementSummary(),
    )
    return statement if found.trades else statement.model_copy(update={"closed": closed_by_deals(statement)})


def _zone(mapping: Mapping, origin: Origin) -> tzinfo:
    """Returns the zone of the times in the file."""
    if mapping.zone is None:
        return origin.zone
    try:
        return zone_of(mapping.zone)
    except ValueError as exc:
        raise StatementInvalid(
            f"{origin.file}: {exc}.", field="zone", remedy="Say the zone of its times in a mapping: zone."
        ) from exc


def _take(line: Line, zone: tzinfo, currency: str, found: _Found) -> None:
    """Reads one row into `found`."""
    mapping = line.table.mapping
    if line.is_total:
        total = line.money("profit", currency)
        if line.optional("profit") and total != found.profit_minor:
            raise line.problem(f"the total is {total}, the rows above add up to {found.profit_minor} in minor units")
        return
    word = line.text("side").lower()
    if word in {each.lower() for each in mapping.side_words.skip}:
        return
    kind = None if not word or mapping.sides.of(word) else mapping.money_words.of(word)
    if kind == "cancelled":
        return
    if kind is not None:
        found.money.append(_money(line, kind, zone, currency))
        return
    found.profit_minor += line.money("profit", currency)
    columns = mapping.columns
    if columns is not None and columns.effect is not None:
        deal = _deal(line, zone, currency)
        found.deals.append(deal)
        return
    trade = _trade(line, zone, currency)
    found.trades.append(trade)
    if line.optional("balance") and trade.closed_at is not None:
        balance = line.money("balance", currency)
        found.balances.append((trade.closed_at, line.row, balance, trade.net_minor))


def _check_costs(table: Table) -> None:
    """Refuses a commission column that is mostly positive, and costs beside a profit that may contain them, unless the
    mapping says how they are meant."""
    mapping = table.mapping
    lines = [line for line in table.lines() if not line.is_total]
    costs = [line.number("commission") or Decimal(0) for line in lines]
    if mapping.costs is None and sum(cost > 0 for cost in costs) > sum(cost < 0 for cost in costs):
        raise StatementInvalid(
            f"{table.name}: most commissions are positive. It is not certain whether they are costs.",
            field="costs",
            remedy="Say it in a mapping: `costs: positive` if they are costs, `costs: signed` if they are income.",
        )
    swaps = [line.number("swap") or Decimal(0) for line in lines]
    if mapping.asks_profit and mapping.profit_is is None and any(costs + swaps):
        raise StatementInvalid(
            f"{table.name} has commissions or swaps. It is not certain whether its profit contains them.",
            field="profit_is",
            remedy="Say it in a mapping: `profit_is: net` if it contains them, `profit_is: gross` if it does not.",
        )


def _cost(line: Line, field: str, currency: str) -> int:
    """Returns a cost, negative when the account paid it."""
    minor = line.money(field, currency)
    if line.table.mapping.costs == "unsigned":
        return -abs(minor)
    # a swap may be income: only commissions and taxes are written as costs
    return -minor if line.table.mapping.costs == "positive" and field != "swap" else minor


def _trade(line: Line, zone: tzinfo, currency: str) -> StatementPosition:
    side, opened, closed, prices = _legs(line, zone)
    lots = line.number("lots")
    if closed < opened:
        raise line.problem(
            "the trade closes before it opens; where a file says when a trade was bought and sold, map the columns "
            "`bought_at` and `sold_at`"
        )
    if lots is not None and lots <= 0:
        raise line.problem(f"a trade of {lots} lots is none")
    if line.number("profit") is None:
        raise line.problem("profit is empty")
    commission, taxes = _cost(line, "commission", currency), _cost(line, "taxes", currency)
    swap, profit = _cost(line, "swap", currency), line.money("profit", currency)
    if line.table.mapping.profit_is == "net":
        profit -= commission + taxes + swap
    return StatementPosition(
        row=line.row,
        position_id=line.text("ticket") or f"row {line.row}",
        symbol=line.text("symbol"),
        side=side,
        lots=lots,
        opened_at=opened,
        opening_price=prices[0],
        closed_at=closed,
        closing_price=prices[1],
        commission_minor=commission,
        taxes_minor=taxes,
        swap_minor=swap,
        profit_minor=profit,
    )


def _legs(line: Line, zone: tzinfo) -> tuple[Side, datetime, datetime, tuple[Decimal | None, Decimal | None]]:
    """Returns side, opening, closing, and both prices. What came first opened the trade."""
    if not line.table.places("bought_at"):
        closed = line.at("closed_at", zone)
        opened = line.at("opened_at", zone) if line.optional("opened_at") else closed
        return _side(line), opened, closed, (line.number("opening_price"), line.number("closing_price"))
    bought, sold = line.at("bought_at", zone), line.at("sold_at", zone)
    prices = (line.number("bought_price"), line.number("sold_price"))
    if bought <= sold:
        return "buy", bought, sold, prices
    return "sell", sold, bought, (prices[1], prices[0])


def _side(line: Line) -> Side:
    side = line.table.mapping.sides.of(line.text("side"))
    if side is None:
        raise line.problem(f"{line.text('side')!r} is neither known as buy nor as sell (mapping: side_words)")
    return side


def _deal(line: Line, zone: tzinfo, currency: str) -> StatementDeal:
    effect = line.text("effect").lower()
    if effect not in (*_OPENING, *_CLOSING):
        raise line.problem(f"effect: {effect!r} is neither an opening nor a closing")
    lots, price = line.number("lots"), line.number("price")
    if lots is None or lots <= 0:
        raise line.problem(f"a fill of {lots or 'no'} lots is none")
    if price is None:
        raise line.problem("price is empty")
    name = line.text("ticket") or f"row {line.row}"
    return StatementDeal(
        row=line.row,
        deal_id=name,
        order_id=name,
        at=line.at("at", zone),
        symbol=line.text("symbol"),
        side=_side(line),
        opens=effect in _OPENING,
        lots=lots,
        price=price,
        commission_minor=_cost(line, "commission", currency),
        fee_minor=_cost(line, "taxes", currency),
        swap_minor=_cost(line, "swap", currency),
        profit_minor=line.money("profit", currency),
    )


def _money(line: Line, kind: MoneyKind, zone: tzinfo, currency: str) -> BalanceRow:
    time = next((field for field in ("opened_at", "closed_at", "at") if line.optional(field)), "closed_at")
    return BalanceRow(
        row=line.row,
        reference=line.optional("ticket") or f"row {line.row}",
        at=line.at(time, zone),
        amount_minor=line.money("profit", currency),
        credit=kind == "credit",
        result=kind == "result",
    )


def _deposit(
    found: _Found, mapping: Mapping, currency: str, name: str, assumed: Assumed | None
) -> tuple[BalanceRow, ...]:
    """Returns the row of the initial balance; none where the file has the first deposit itself."""
    first = min([trade.opened_at for trade in found.trades] + [deal.at for deal in found.deals])
    early = sum(row.amount_minor for row in found.money if row.at <= first and not row.credit)
    stated = None if mapping.initial_balance is None else to_minor(mapping.initial_balance, currency)
    if early > 0:
        if stated is not None and stated != early:
            raise StatementInvalid(
                f"The mapping says an initial balance of {money(stated, currency)}, the deposits in {name} before the "
                f"first trade are {money(early, currency)}.",
                field="initial_balance",
                remedy=f"Remove initial_balance from the mapping, or say {from_minor(early, currency)}.",
            )
        return ()
    reference = "initial"
    if stated is None and found.balances:
        _, _, balance, net = min(found.balances)
        stated = balance - net
    if stated is None and assumed is not None:
        stated, reference = assumed.initial_minor, ASSUMED
    if stated is None or stated <= 0:
        raise StatementInvalid(
            f"The mapping does not say initial_balance, and {name} cannot.",
            field="initial_balance",
            remedy="Add it to the mapping.",
        )
    at = min([first, *(row.at for row in found.money)])
    return (BalanceRow(row=0, reference=reference, at=at, amount_minor=stated),)
