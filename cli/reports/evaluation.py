"""The result of `propos evaluate` as one JSON object and as tables."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from domain.histories.results import Day, ReplayedBreach
from domain.histories.what_if import WhatIf
from domain.money import exponent, from_minor
from domain.wording import money

_STYLED_VERDICTS: Final = {
    "breach": "[bold red]breach[/]",
    "pass": "[bold green]pass[/]",
    "expired": "[bold red]out of time[/]",
    "in_progress": "[bold]in progress[/]",
    "undecided": "[bold yellow]undecided: prices are needed[/]",
}


def as_json(found: WhatIf) -> dict[str, Any]:
    """Returns the whole result as JSON data: money as strings, instants in UTC.

    The first figures come from the statement's own summary where it has them. `computed` has the figures of its rows,
    and `differences` lists where the two differ.
    """
    return _figures(found) | _judgement(found)


def _figures(found: WhatIf) -> dict[str, Any]:
    """Returns the figures of the statement, and those computed from its rows."""
    statement, rows = found.statement, found.sums
    own = statement.summary

    def money(minor: int | None) -> str | None:
        return _amount(minor, statement.currency)

    def stated(minor: int | None, added: int) -> str | None:
        return money(added if minor is None else minor)

    return {
        "account": statement.account,
        "currency": statement.currency,
        "source": statement.source,
        "zone": statement.zone,
        "trades": rows.trades,
        "open_positions": len(statement.open_positions),
        "deals": statement.deals_count,
        "cancelled_orders": statement.cancelled_orders,
        "pending_orders": statement.pending_orders,
        "deposits": money(rows.deposits_minor),
        "withdrawals": money(rows.withdrawals_minor),
        "closed_profit": stated(own.closed_profit_minor, rows.closed_minor),
        "balance": stated(own.balance_minor, rows.balance_minor),
        "equity": stated(own.equity_minor, rows.equity_minor),
        "floating": stated(own.floating_minor, rows.floating_minor),
        "computed": {
            "closed_profit": money(rows.closed_minor),
            "gross_profit": money(rows.gross_profit_minor),
            "gross_loss": money(rows.gross_loss_minor),
            "balance": money(rows.balance_minor),
            "equity": money(rows.equity_minor),
            "floating": money(rows.floating_minor),
            "open_costs": money(rows.open_costs_minor),
        },
        "rows_add_up": not found.discrepancies,
        "differences": [
            {
                "figure": gap.figure,
                "statement": money(gap.stated) if gap.money else str(gap.stated),
                "rows": money(gap.rows) if gap.money else str(gap.rows),
                "difference": money(gap.stated - gap.rows) if gap.money else str(gap.stated - gap.rows),
                "sentence": gap.sentence(statement.currency),
            }
            for gap in found.discrepancies
        ],
    }


def _judgement(found: WhatIf) -> dict[str, Any]:
    """Returns the verdict under the product, with everything it rests on."""
    judged, currency = found.replay, found.statement.currency

    def money(minor: int | None) -> str | None:
        return _amount(minor, currency)

    return {
        "product": found.sold.ref,
        "phase": {"number": found.phase_index, "name": found.terms.phase.name},
        "initial_balance": money(found.initial_minor),
        "days": len(judged.trading_days),
        "verdict": judged.outcome,
        "verdict_on_balance": judged.on_balance,
        "verdict_in_words": verdict_in_words(found),
        "needs_prices": [need.rule_id for need in judged.unpriced],
        "needs_prices_because": [
            {"rule": need.rule_id, "since": _time(need.since), "events": need.moments, "reason": need.reason}
            for need in judged.unpriced
        ],
        "not_judged": dict(found.not_judged),
        "breaches": [_breach(breach, currency) for breach in judged.breaches],
        "passed": judged.passed
        and {
            "at": _time(judged.passed.at),
            "balance": money(judged.passed.balance_minor),
            "required": money(judged.passed.required_minor),
        },
        "expired_at": _time(judged.expired_at),
        "target": money(judged.target_minor),
        "gates": [
            {
                "rule": gate.id,
                "type": gate.type,
                "met": status.met,
                "outcome": status.outcome,
                "sentence": status.sentence,
                "blocks": list(gate.blocks),
                "figures": {name: _plain(name, value, currency) for name, value in status.figures.items()},
            }
            for gate, status in judged.gates
        ],
        "floors_by_day": [_day(day, currency) for day in judged.days],
        "proof": list(sheets_of(found)),
        "notes": list(found.notes),
    }


def sheets_of(found: WhatIf) -> Iterator[dict[str, Any]]:
    """Yields the proof sheets of a result: of each breach, then of the pass."""
    yield from (breach.proof for breach in found.replay.breaches if breach.proof)
    if found.replay.passed and found.replay.passed.proof:
        yield found.replay.passed.proof


def _amount(minor: int | None, currency: str) -> str | None:
    return None if minor is None else f"{from_minor(minor, currency):.{exponent(currency)}f}"


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _plain(name: str, value: object, currency: str) -> object:
    """Returns a figure for JSON: amounts (names ending in _minor) in major units, instants in UTC, decimals as text."""
    if isinstance(value, int) and name.endswith("_minor"):
        return _amount(value, currency)
    if isinstance(value, datetime):
        return _time(value)
    return str(value) if isinstance(value, Decimal) else value if isinstance(value, int | str | None) else str(value)


def _breach(breach: ReplayedBreach, currency: str) -> dict[str, Any]:
    return {
        "rule": breach.rule_id,
        "family": breach.family,
        "at": _time(breach.at),
        "event": breach.event,
        "seq": breach.seq,
        "offence": breach.offence,
        "consequence": breach.consequence.kind,
        "sentence": breach.sentence,
        "equity": _amount(breach.worth_minor, currency),
        "level": _amount(breach.level_minor, currency),
        "level_is": breach.level_is,
        "positions": list(breach.position_ids),
        "figures": {name: _plain(name, value, currency) for name, value in breach.figures.items()},
        "proof_id": breach.proof and breach.proof["proof_id"],
    }


def _day(day: Day, currency: str) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "ended_at": _time(day.ended_at),
        "balance": _amount(day.balance_minor, currency),
        "equity": _amount(day.equity_minor, currency),
        "closed": _amount(day.closed_minor, currency),
        "positions_opened": day.positions_opened,
        "floors": {
            level.key: {
                "level": _amount(level.level_minor, currency),
                "level_is": level.level_is,
                "least_room": _amount(level.least_room_minor, currency),
            }
            for level in day.levels
        },
    }


def verdict_in_words(found: WhatIf) -> str:
    """Returns the verdict in sentences, with what it does not cover."""
    judged, currency = found.replay, found.statement.currency
    fatal = next((breach for breach in judged.breaches if breach.fails), None)
    by_verdict = {
        "breach": f"{fatal.rule_id} was broken on {_time(fatal.at)}. {fatal.sentence}" if fatal else "",
        "pass": f"The target was reached on {_time(judged.passed.at)}." if judged.passed else "",
        "expired": f"The time limit of the phase passed on {_time(judged.expired_at)}.",
        "in_progress": "No rule was broken, and the target was not reached.",
    }
    sentences = [by_verdict[judged.on_balance]]
    if judged.outcome == "undecided":
        names = ", ".join(need.rule_id for need in judged.unpriced)
        sentences.insert(0, "By closed trades alone:")
        sentences.append(
            f"To judge {names}, the floating equity between the deals is needed: add quotes with --market."
        )
    if found.discrepancies:
        sentences.append("The rows do not add up to the statement's own summary; this verdict is about the rows.")
        sentences += [gap.sentence(currency) for gap in found.discrepancies]
    if found.not_judged:
        sentences.append("Not judged: " + "; ".join(f"{rule} ({why})" for rule, why in found.not_judged.items()) + ".")
    return " ".join(sentences)


def show(found: WhatIf, console: Console) -> None:
    console.print(Group(*_tables(found)))


def _tables(found: WhatIf) -> Iterator[RenderableType]:
    data, judged, currency = as_json(found), found.replay, found.statement.currency
    head = Table(title=f"Statement {data['account']} under {data['product']}", title_justify="left", show_header=False)
    head.add_row("Verdict", _STYLED_VERDICTS[judged.outcome])
    head.add_row("", escape(data["verdict_in_words"]))
    head.add_row("Phase", f"{data['phase']['name']}, initial balance {money(found.initial_minor, currency)}")
    names = ("trades", "open_positions", "deposits", "withdrawals", "closed_profit", "balance", "equity", "floating")
    for name in (*names, "target", "days"):
        head.add_row(name.replace("_", " ").capitalize(), str(data[name] if data[name] is not None else "none"))
    for note in found.notes:
        head.add_row("Note", escape(note))
    yield head
    if judged.breaches:
        table = Table("At (UTC)", "Rule", "Consequence", "What happened", title="Offences", title_justify="left")
        for breach in judged.breaches:
            table.add_row(_time(breach.at), breach.rule_id, breach.consequence.kind, escape(breach.sentence))
        yield table
    if judged.gates:
        table = Table("Gate", "Status", "Reason", title="Gates at the end", title_justify="left")
        for gate, status in judged.gates:
            table.add_row(gate.id, status.outcome, escape(status.sentence))
        yield table
    yield _days(judged.days, currency)


def _days(days: tuple[Day, ...], currency: str) -> Table:
    keys = [level.key for level in days[-1].levels] if days else []
    table = Table("Day", "Balance", "Equity", "Closed", *keys, title="Floors by day", title_justify="left")
    for day in days:
        suffixes = {"exact": "", "at_least": " or more", "unknown": "?"}
        levels = [f"{_amount(level.level_minor, currency)}{suffixes[level.level_is]}" for level in day.levels]
        equity = _amount(day.equity_minor, currency) or "not known"
        table.add_row(
            day.day.isoformat(),
            _amount(day.balance_minor, currency),
            equity,
            _amount(day.closed_minor, currency),
            *levels,
        )
    return table
