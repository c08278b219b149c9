"""Compares the rows of a statement with its own summary, to the minor unit."""

from dataclasses import dataclass

from domain import wording
from domain.histories.statements import Statement


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of the rows, in minor units. `floating_minor` is counted as the report counts its own figure.
    `other_results_minor`: costs and income of trading that belong to no trade, such as interest."""

    deposits_minor: int
    withdrawals_minor: int
    credit_minor: int
    closed_minor: int
    other_results_minor: int
    gross_profit_minor: int
    gross_loss_minor: int
    floating_minor: int
    open_costs_minor: int
    balance_minor: int
    equity_minor: int
    trades: int


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A figure of the report that differs from its rows. The difference is `stated` minus `rows`. Minor units,
    except for counts (`money` False)."""

    figure: str
    stated: int
    rows: int
    money: bool = True

    def sentence(self, currency: str) -> str:
        gap = self.stated - self.rows
        if not self.money:
            return f"The statement says {self.stated} {self.figure}, its rows are {self.rows}: a difference of {gap}."
        stated, rows, difference = (wording.money(minor, currency) for minor in (self.stated, self.rows, gap))
        return f"The statement says {self.figure} {stated}, its rows add up to {rows}: a difference of {difference}."


def sums(statement: Statement) -> Sums:
    """Returns the sums of the rows."""
    money = [row.amount_minor for row in statement.balance_rows if not row.credit and not row.result]
    credit = sum(row.amount_minor for row in statement.balance_rows if row.credit)
    nets = [position.net_minor for position in statement.closed]
    closed, other = _closed(statement), _other_results(statement)
    held = statement.open_positions
    floats = sum(position.profit_minor for position in held)
    costs = sum(position.net_minor for position in held) - floats
    balance = brought_forward(statement) + sum(money) + closed + other
    return Sums(
        deposits_minor=sum(amount for amount in money if amount > 0),
        withdrawals_minor=-sum(amount for amount in money if amount < 0),
        credit_minor=credit,
        closed_minor=closed,
        other_results_minor=other,
        gross_profit_minor=sum(net for net in nets if net > 0),
        gross_loss_minor=sum(net for net in nets if net < 0),
        floating_minor=floats + costs if statement.floating_has_costs else floats,
        open_costs_minor=costs,
        balance_minor=balance,
        equity_minor=balance + floats + costs + credit,
        trades=len(statement.closed),
    )


def _closed(statement: Statement) -> int:
    if statement.deals:
        return sum(deal.net_minor for deal in statement.deals)
    return sum(position.net_minor for position in statement.closed)


def _other_results(statement: Statement) -> int:
    return sum(row.amount_minor for row in statement.balance_rows if row.result)


def brought_forward(statement: Statement) -> int:
    """Returns the balance before the first row of a report that starts midway; else 0.

    It follows from the first running balance. Without one, it follows from the balance of the summary, if deposits and
    closed result of the summary agree with the rows.
    """
    booked = _booked(statement)
    if any(stated is not None for _, _, stated in booked):
        _, amount, stated = min(booked, key=lambda each: each[0])
        return 0 if stated is None else stated - amount
    own = statement.summary
    transfers = sum(row.amount_minor for row in statement.balance_rows if not row.credit and not row.result)
    agree = (own.deposits_net_minor, own.closed_profit_minor) == (transfers, _closed(statement))
    if own.balance_minor is None or not agree:
        return 0
    return max(0, own.balance_minor - transfers - _closed(statement) - _other_results(statement))


def is_inferred(statement: Statement) -> bool:
    """Whether the balance brought forward follows from the summary of the report only."""
    return all(stated is None for _, _, stated in _booked(statement))


def _booked(statement: Statement) -> list[tuple[int, int, int | None]]:
    """Returns (row, amount, running balance of the report) of everything that moved the balance."""
    booked = [(deal.row, deal.net_minor, deal.stated_balance_minor) for deal in statement.deals]
    return booked + [(b.row, 0 if b.credit else b.amount_minor, b.stated_balance_minor) for b in statement.balance_rows]


def discrepancies(statement: Statement, rows: Sums) -> list[Discrepancy]:
    """Returns every figure of the summary that differs from the rows, and the first wrong running balance."""
    own = statement.summary
    compared = (
        ("deposits less withdrawals", own.deposits_net_minor, rows.deposits_minor - rows.withdrawals_minor),
        ("credit", own.credit_minor, rows.credit_minor),
        ("closed profit", own.closed_profit_minor, rows.closed_minor),
        ("gross profit", own.gross_profit_minor, rows.gross_profit_minor),
        ("gross loss", own.gross_loss_minor, rows.gross_loss_minor),
        ("floating profit", own.floating_minor, rows.floating_minor),
        ("balance", own.balance_minor, rows.balance_minor),
        ("equity", own.equity_minor, rows.equity_minor),
    )
    found = [Discrepancy(name, stated, sum_) for name, stated, sum_ in compared if stated not in (None, sum_)]
    if own.trades not in (None, rows.trades):
        found.append(Discrepancy("trades", own.trades or 0, rows.trades, money=False))
    return found + _deals_and_trades(statement, rows) + _running(statement)


def _deals_and_trades(statement: Statement, rows: Sums) -> list[Discrepancy]:
    """Compares deals with trades: without the opening costs of open positions, both must add up to the same result."""
    if not statement.deals:
        return []
    held = {position.position_id for position in statement.open_positions}
    opening = sum(deal.net_minor for deal in statement.deals if deal.opens and deal.order_id in held)
    by_deals, by_trades = rows.closed_minor - opening, rows.gross_profit_minor + rows.gross_loss_minor
    return [] if by_deals == by_trades else [Discrepancy("closed profit by deals", by_deals, by_trades)]


def _running(statement: Statement) -> list[Discrepancy]:
    balance = brought_forward(statement)
    for row, amount, stated in sorted(_booked(statement), key=lambda booked: booked[0]):
        balance += amount
        if stated is not None and stated != balance:
            return [Discrepancy(f"balance after row {row}", stated, balance)]
    return []
