"""Profit of named trades that two people have found tainted: it stays on the account and is not paid out."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput
from domain.money import Money

MOST_NAMED: Final = 500  # trades of one deduction


class TaintedTrade(BaseModel):
    """A closed position whose net profit does not count for payouts.

    `profit_minor`: after commission and swap, in minor units of the account's currency. `rule`: what the trader broke,
    in words for the trader.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position_id: str
    symbol: str
    opened_at: datetime
    closed_at: datetime
    profit_minor: int = Field(gt=0)
    rule: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A position as the recorded deals have it. `profit_minor`: net of commission and swap, in minor units.

    `pays_out`: its account is in the funded phase of a running challenge. `was_reset`: a reset has taken the profit off
    the account since. `is_deducted`: a deduction in force names it.
    """

    account_id: str
    position_id: str
    symbol: str
    currency: str
    opened_at: datetime
    closed_at: datetime
    closed_seq: int
    lots_in: Decimal
    lots_out: Decimal
    profit_minor: int
    pays_out: bool = True
    was_reset: bool = False
    is_deducted: bool = False

    @property
    def profit(self) -> Money:
        return Money(minor=self.profit_minor, currency=self.currency)

    @property
    def why_not(self) -> str:
        """Why its profit cannot be deducted, as a clause about the trade; empty when it can."""
        if self.is_deducted:
            return "is deducted already"
        if self.lots_in <= 0 or self.lots_in != self.lots_out:
            return "is not closed, or its deals are not all on the record"
        if self.profit_minor <= 0:
            return "made no profit"
        if not self.pays_out:
            return "belongs to an account whose profit is not paid out"
        if self.was_reset:
            return "made profit that a reset of the balance has taken already"
        return ""


def check_named(named: Sequence[tuple[str, str]], found: Iterable[Trade]) -> list[Trade]:
    """Returns the named trades, (account id, position id) each, in order of their closing.

    Raises BadInput: no trade, too many, one twice, one that no account of the case has, one that cannot be deducted.
    """
    if not named:
        raise BadInput("No trade is named.", field="trades", remedy="Name the trades whose profit is tainted.")
    if len(named) > MOST_NAMED:
        raise BadInput(f"At most {MOST_NAMED} trades can be named.", field="trades", remedy="Name fewer trades.")
    if len(set(named)) != len(named):
        raise BadInput("A trade is named twice.", field="trades", remedy="Name each trade once.")
    trades = {(trade.account_id, trade.position_id): trade for trade in found}
    problems = []
    for key in named:
        if key not in trades:
            problems.append(f"{key[1]} is no trade of an account that this case blames")
        elif why := trades[key].why_not:
            problems.append(f"{key[1]} {why}")
    if problems:
        raise BadInput(
            f"These trades cannot be deducted: {'; '.join(problems)}.", field="trades", remedy="Leave them out."
        )
    return sorted((trades[key] for key in named), key=lambda trade: (trade.closed_seq, trade.position_id))


def digest(case_id: str, rule: str, reason: str, trades: Iterable[tuple[str, str, int]]) -> str:
    """Returns the digest of a proposed deduction, which its approval carries. `trades`: (account id, position id, net
    profit in minor units) each, in any order."""
    body = {"v": 1, "case": case_id, "rule": rule, "reason": reason, "trades": sorted(trades)}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def total_minor(trades: Iterable[TaintedTrade], after: datetime | None = None) -> int:
    """Returns the profit of the trades that were closed after `after`; of all of them without it."""
    return sum(trade.profit_minor for trade in trades if after is None or trade.closed_at > after)


def taken_off(left_minor: int, tainted_minor: int) -> int:
    """Returns what is left of a profit without the tainted part. A deduction never turns a profit into a loss."""
    return left_minor - min(tainted_minor, max(0, left_minor))


def beside_tainted(
    counted: Mapping[str, int],
    clean: Mapping[str, int],
    offences: Mapping[str, int],
    since_tainted: Mapping[str, int],
    tainted_minor: int,
) -> int:
    """Returns what the rules deduct, less what is deducted with the tainted trades: no profit is deducted twice.

    By rule, in minor units: `counted` of the account's history; `clean` of the same history as if the tainted trades
    had made nothing; `offences` on the record, `since_tainted` those of them since the first tainted trade was opened.
    A rule that counts its deductions also has offences on the record: both are the same deduction. Of an offence alone
    it is not known which trades made the profit, so the whole of it may be that of the tainted trades.
    """
    total, perhaps_same = 0, 0
    for rule in {*counted, *offences}:
        in_history, on_record = counted.get(rule, 0), offences.get(rule, 0)
        if in_history:
            same = in_history - min(in_history, clean.get(rule, 0))
            total += max(in_history - same, on_record - same)
        else:
            total += on_record
            perhaps_same += since_tainted.get(rule, 0)
    return total - min(perhaps_same, tainted_minor)


def tainted_part_minor(*, tainted_minor: int, judged_minor: int, base_minor: int | None, leaves_minor: int) -> int:
    """Returns how much of a payout is tainted profit by deductions since it was judged; 0: none of it.

    `tainted_minor`: all deductions in force now, `judged_minor` those when it was judged. `base_minor`: the profit
    that payouts came from then; None: not known, so there was nothing beside the payout. `leaves_minor`: what leaves
    the account with the payout.
    """
    newer = max(0, tainted_minor - judged_minor)
    beside = 0 if base_minor is None else max(0, base_minor - leaves_minor)
    return min(leaves_minor, max(0, newer - beside))


def line(trade: TaintedTrade, currency: str) -> str:
    """Returns "tainted profit 400.00 USD of trade P1 (EURUSD, closed 2014-05-05 13:00 UTC): the rule"."""
    profit = Money(minor=trade.profit_minor, currency=currency)
    closed = f"{trade.symbol}, closed {trade.closed_at:%Y-%m-%d %H:%M} UTC"
    return f"tainted profit {profit} of trade {trade.position_id} ({closed}): {trade.rule.rstrip('.')}"
