"""Worked examples of our own, in the format that firms' examples are kept in."""

import json
from typing import Any

from cli.conformance.case import read_cases
from cli.conformance.run import run

OPEN, CLOSE, DAY, ROLL = "trade_open", "trade_close", "day_result", "rollover"
NEW_YORK = {"timezone": "America/New_York", "reset": "17:00"}


def event(t: str, type_: str, **data: Any) -> dict[str, Any]:
    return {"t": t, "type": type_, **data}


def days(*profits: float) -> list[dict[str, Any]]:
    return [event(f"2025-06-{number:02}", DAY, net_pnl=profit) for number, profit in enumerate(profits, start=2)]


def check(
    kind: str, rule: dict[str, Any], events: list[dict[str, Any]], expected: dict[str, Any], **account: Any
) -> None:
    case = {
        "id": "ours",
        "account": {"initial_balance": 100_000, "currency": "USD", **account},
        "rule": {"kind": kind, **rule},
        "events": events,
        "expected": expected,
    }
    result = run(read_cases(json.dumps([case]), "ours")[0])
    assert result.status == "passed", result.line


def blocked(outcome: str, **amounts: Any) -> dict[str, Any]:
    return {"outcome": outcome, "amounts": amounts} if amounts else {"outcome": outcome}


PAYOUT = event("2025-06-20T10:00:00+00:00", "payout", gross_amount=1000)
