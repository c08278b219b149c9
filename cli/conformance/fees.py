"""Cases about the price of a challenge: every fee that its events charge, in order."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from cli.conformance.case import Case, EngineResult
from cli.conformance.gates import needed
from domain.charges import FeeEvent, Fees, Prices, step

_EVENTS: Final[dict[str, FeeEvent]] = {
    "purchase": "purchase",
    "reset": "reset",
    "buyback": "buyback",
    "extension": "extension",
    "funded": "funded",
    "cancelled": "cancelled",
}


def fees_of(case: Case) -> EngineResult:
    given = case.params("prices", "day")
    prices, clock = Prices.model_validate(needed(case, "prices")), case.clock(given.get("day"))
    charged, result = Fees(), EngineResult(outcome="computed", amounts={"charged": [], "total": Decimal(0)})
    for raw in case.events:
        add_ons = tuple(raw.data.get("add_ons", ()))
        charged = step(charged, _EVENTS.get(raw.kind, "time"), raw.day(clock), prices, case.currency, add_ons)
        result.amounts = {
            "charged": [case.major(charge.minor) for charge in charged.charges],
            "total": case.major(charged.total_minor),
        }
        result.steps.append(result.amounts)
    return result


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {"fees": fees_of}
