"""Random whole products: several rules of every family, consequences of every kind, cures, two clocks, currencies."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

from pydantic import ValidationError

from cli.bench.agreement.equity_terms import CLOCKS, lockable_rules
from cli.bench.agreement.history_terms import CALENDAR, CONDUCT, GATES, Json, conduct_rule, gate
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product

# (currency, what amounts for an initial balance of 10,000 are multiplied with)
_CURRENCIES: Final = (("USD", 1), ("USD", 1), ("EUR", 1), ("GBP", 1), ("JPY", 100), ("KWD", 1))
_LESSER: Final = (
    *("warn", "review", "close_position", "pause_until_reset", "deduct_profit", "lower_split"),
    *("reset_balance", "warn", "review"),
)
_AMOUNTS: Final = frozenset({"at_least", "from_profit", "offset"})


@dataclass(frozen=True, slots=True)
class Weekdays:
    """A venue that is open from 14:30 to 21:00 UTC from Monday to Friday, and closes at 18:00 on days of a month that
    seven divides."""

    def close_on(self, day: date) -> datetime | None:
        if day.weekday() > 4:
            return None
        return datetime(day.year, day.month, day.day, 18 if self.closes_early(day) else 21, tzinfo=UTC)

    def next_open(self, after: datetime) -> datetime:
        opens = datetime(after.year, after.month, after.day, 14, 30, tzinfo=UTC)
        while opens <= after or opens.weekday() > 4:
            opens += timedelta(days=1)
        return opens

    def closes_early(self, day: date) -> bool:
        return day.day % 7 == 0


CALENDARS: Final = {CALENDAR: Weekdays()}


def random_terms(random: Random, name: str) -> list[PhaseTerms]:
    """Returns the terms of both phases of a random product: an evaluation, and the funded phase."""
    while True:
        try:
            product = Product.model_validate(_product(random, name, 1))
        except ValidationError:
            continue  # some settings contradict each other
        return _phases(product)


def next_version(random: Random, terms: PhaseTerms) -> PhaseTerms:
    """Returns the same phase of another version of the product: other terms under rules of the same names, and some
    rules that only one of both versions has."""
    before = terms.product.model_dump(mode="json")
    while True:
        made = _product(random, terms.product.product, 2)
        for phase, old in zip([*made["phases"], made["funded"]], [*before["phases"], before["funded"]], strict=True):
            kept = [rule for rule in old["rules"] if random.random() < 0.6]
            taken = {rule["id"] for rule in kept}
            phase["rules"] = kept + [rule for rule in phase["rules"] if rule["id"] not in taken]
            phase["target"] = old.get("target")
        made |= {"currency": before["currency"], "initial_balance": before["initial_balance"]}
        try:
            product = Product.model_validate(made)
        except ValidationError:
            continue
        return _phases(product)[terms.phase_index - 1]


def _phases(product: Product) -> list[PhaseTerms]:
    return [phase_terms(product, index, CALENDARS) for index in (1, 2)]


def _product(random: Random, name: str, version: int) -> Json:
    clocks = [{"zone": zone, "reset": reset} for zone, reset in random.sample(CLOCKS, 2)]
    currency, factor = random.choice(_CURRENCIES)
    tested, funded = _rules(random, "pass"), _rules(random, "payout")
    target = random.choice([1, 1, 2, 4, 9])
    made: Json = {
        "product": name,
        "version": version,
        "name": "Random",
        "family": "one-step",
        "currency": currency,
        "initial_balance": "10000",
        "fee": "100",
        "leverage": 100,
        "clock": clocks[0],
        "loss_clock": clocks[1] if random.random() < 0.35 else None,
        "phases": [
            {
                "name": "Test",
                "target": {"type": "pct_of_initial", "value": str(target)},
                "min_trading_days": random.choice([0, 0, 1, 2]),
                "rules": tested,
            }
        ],
        "funded": {"name": "Funded", "rules": funded},
        "payout": {
            "first_after_days": 0,
            "every_days": 1,
            "split_pct": "80",
            "min_request": "1",
        },
    }
    if any(rule["type"] == "trading_day_count" for rule in tested):
        made["phases"][0]["min_trading_days"] = 0
    if factor != 1:
        made = _scaled(made, factor)
        made |= {"initial_balance": str(10_000 * factor), "fee": str(100 * factor)}
    return made


def _scaled(data: Any, factor: int) -> Any:
    """Returns data with every amount multiplied, for a currency of smaller units."""
    if isinstance(data, list):
        return [_scaled(each, factor) for each in data]
    if not isinstance(data, dict):
        return data
    found = {name: _scaled(value, factor) for name, value in data.items()}
    if data.get("type") == "amount":
        found["value"] = _times(data["value"], factor)
        found |= {"steps": [step | {"value": _times(step["value"], factor)} for step in found.get("steps", [])]}
    return found | {name: _times(data[name], factor) for name in _AMOUNTS & data.keys()}


def _times(value: str | None, factor: int) -> str | None:
    return None if value is None else str(Decimal(value) * factor)


def _rules(random: Random, blocks: Literal["pass", "payout"]) -> list[Json]:
    """Returns loss limits, rules of conduct and gates in a random order."""
    found = lockable_rules(random)
    for rule in found:
        rule["consequences"] = _consequences(random, fails=0.5, limit=True)
        if random.random() < 0.35 and rule["judged_at"] != "eod":
            rule["cure"] = {"minutes": random.choice([1, 30, 600, 1440]), "times": random.choice([1, 1, 2, 9])}
    kinds = random.sample(list(CONDUCT), random.choice([0, 1, 2, 3, 4]))
    found += [
        conduct_rule(random, kind, number, _consequences(random, fails=0.25, limit=False))
        for number, kind in enumerate(kinds)
    ]
    gates = random.sample(list(GATES), random.choice([0, 0, 1, 2, 3]))
    held: list[str] = [blocks] if random.random() < 0.7 else ["pass", "payout"]
    found += [gate(random, kind, number, held) for number, kind in enumerate(gates)]
    random.shuffle(found)
    return found


def _consequences(random: Random, *, fails: float, limit: bool) -> list[Json]:
    """`fails`: how often the last offence ends the phase. `limit`: of a loss limit, which fails without a word."""
    kinds = [random.choice(_LESSER) for _ in range(random.choice([0, 1, 1, 2, 3] if limit else [1, 1, 2, 3]))]
    if not kinds or random.random() < fails:
        kinds.append("fail")
    share = {"lower_split": {"split_pct": str(random.choice([50, 60, 70]))}}
    return [{"kind": kind, **share.get(kind, {})} for kind in kinds]
