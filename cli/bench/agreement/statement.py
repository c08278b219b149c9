"""A life as the statement of an account, where a statement can know it: trades and quotes, no payout, no close by the
venue, no fees, no costs of an opening, and a first trade on the first day."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from cli.bench.agreement.told import Found, replayed_offences
from cli.bench.agreement.venue import INSTRUMENTS
from cli.bench.agreement.world import World
from domain.histories.results import Replay
from domain.histories.statement_events import MarketData, Quote
from domain.histories.statements import (
    BalanceRow,
    Ending,
    Statement,
    StatementDeal,
    StatementPosition,
    StatementSummary,
)
from domain.histories.what_if import judge
from domain.products.phase_terms import PhaseTerms
from domain.rules.base import RuleBase
from domain.rules.gates.trading_day_count import TradingDayCount
from ports.platform import BalanceOperation, Deal, Event, Tick

_ENDINGS: Final[dict[str, Ending]] = {"stop_loss": "stop_loss", "take_profit": "take_profit"}
# what a statement does not judge, or judges from another start: the phase starts with the first trade
_UNSEEN: Final = ("news_window", "exposure_multiple", "required_stop", "inactivity")


def judged_as_statement(world: World, login: int, terms: PhaseTerms, found: Found) -> Replay | None:
    """Returns what a statement of the life shows; None where a statement cannot know it. `found`: the offences of the
    life."""
    rules = terms.phase.rules
    if any(_is_unseen(terms.rule(rule_id)) for _, rule_id, *_ in found) or any(map(_by_average, rules)):
        return None
    statement = statement_of(world, login, terms)
    if statement is None or any(map(_by_value, rules)):
        return None
    if _came_late(world.events):
        return None  # a quote that came late counts when it came; a file of quotes does not know that
    market = MarketData(tuple(_quotes(world.events)), INSTRUMENTS)
    return judge(statement, terms.product, terms.phase_index, market=market, calendars=terms.context.calendars).replay


def _came_late(events: Iterable[Event]) -> bool:
    """Whether a quote is older than something that came before it."""
    latest: datetime | None = None
    for event in events:
        if isinstance(event, Tick) and latest is not None and event.at < latest:
            return True
        latest = event.at if latest is None else max(latest, event.at)
    return False


def offences_by_time(found: Found) -> list[tuple[str, str, int, datetime]]:
    """Returns offences without the numbers of their events: a statement counts its own."""
    return sorted(
        ((kind, rule, number, at) for kind, rule, number, _, at in found), key=lambda each: (each[3], each[1:3])
    )


def statement_offences(result: Replay) -> list[tuple[str, str, int, datetime]]:
    return offences_by_time(replayed_offences(result))


def _is_unseen(rule: RuleBase) -> bool:
    """Whether a statement judges the rule otherwise, or not at all."""
    by_stops = getattr(rule, "only", None) is not None
    return rule.type in _UNSEEN or by_stops


def _by_average(rule: RuleBase) -> bool:
    """Whether the rule judges closed trades at a request of a payout. A life without one is not judged by it, while a
    statement is judged after its last event."""
    return getattr(rule, "reference", "") == "average_of_closed"


def _by_value(rule: RuleBase) -> bool:
    """Whether a gate asks for the value of a trade, which a statement does not contain."""
    return isinstance(rule, TradingDayCount) and rule.needs_value


def statement_of(world: World, login: int, terms: PhaseTerms) -> Statement | None:
    """Returns the life as the report of an account."""
    mine = [event for event in world.events if getattr(event, "login", None) == login]
    deals = [event for event in mine if isinstance(event, Deal)]
    money = [event for event in mine if isinstance(event, BalanceOperation)]
    if not deals or len(money) != 1 or any(_is_strange(deal) for deal in deals):
        return None
    clocks = [clock for clock in (terms.product.clock, terms.product.loss_clock) if clock is not None]
    if any(clock.next_reset(money[0].at) <= deals[0].at for clock in clocks):
        return None
    closed, held = _positions(deals)
    return Statement(
        source="mt5",
        file="random",
        sha256="0" * 64,
        account=str(login),
        currency=terms.product.currency,
        zone="UTC",
        printed_at=world.events[-1].at,
        closed=tuple(closed),
        open_positions=tuple(held),
        deals=tuple(map(_row, deals)),
        balance_rows=(BalanceRow(row=0, reference="deposit", at=money[0].at, amount_minor=money[0].amount_minor),),
        netting=False,
        summary=StatementSummary(),
    )


def _is_strange(deal: Deal) -> bool:
    costs = deal.commission_minor or deal.swap_minor
    return deal.reason == "dealer" or bool(deal.fee_minor) or (deal.entry == "in" and bool(costs))


def _row(deal: Deal) -> StatementDeal:
    return StatementDeal(
        row=deal.seq,
        deal_id=deal.deal_id,
        order_id=deal.position_id if deal.entry == "in" else deal.deal_id,
        at=deal.at,
        symbol=deal.symbol,
        side=deal.side,
        opens=deal.entry == "in",
        lots=deal.lots,
        price=deal.price,
        commission_minor=deal.commission_minor,
        fee_minor=deal.fee_minor,
        swap_minor=deal.swap_minor,
        profit_minor=deal.profit_minor,
        stated_balance_minor=deal.balance_minor,
        ending=_ENDINGS.get(deal.reason, "close"),
    )


def _positions(deals: list[Deal]) -> tuple[list[StatementPosition], list[StatementPosition]]:
    """Returns one row for each close, and one for each position that is still open."""
    opened, left, closed = dict[str, Deal](), dict[str, Decimal](), list[StatementPosition]()
    for deal in deals:
        if deal.entry == "in":
            opened.setdefault(deal.position_id, deal)
            left[deal.position_id] = left.get(deal.position_id, Decimal(0)) + deal.lots
            continue
        left[deal.position_id] -= deal.lots
        closed.append(_position(opened[deal.position_id], deal.lots, deal))
    return closed, [_position(opened[name], lots, None) for name, lots in left.items() if lots]


def _position(opened: Deal, lots: Decimal, closed: Deal | None) -> StatementPosition:
    costs = (
        {}
        if closed is None
        else {
            "commission_minor": closed.commission_minor,
            "taxes_minor": closed.fee_minor,
            "swap_minor": closed.swap_minor,
            "profit_minor": closed.profit_minor,
        }
    )
    return StatementPosition(
        row=opened.seq if closed is None else closed.seq,
        position_id=opened.position_id,
        symbol=opened.symbol,
        side=opened.side,
        lots=lots,
        opened_at=opened.at,
        opening_price=opened.price,
        closed_at=None if closed is None else closed.at,
        closing_price=None if closed is None else closed.price,
        **costs,
    )


def _quotes(events: list[Event]) -> Iterator[Quote]:
    """Yields the quotes that count: none that is older than the one before it."""
    last: dict[str, datetime] = {}
    for event in events:
        if isinstance(event, Tick) and event.at >= last.get(event.symbol, event.at):
            last[event.symbol] = event.at
            yield Quote(event.at, event.symbol, (event.bid, event.ask))
