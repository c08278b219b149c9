"""Cases about the scaling plan: the size of the account after each `scale_up`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.gates import amount_of, needed
from cli.conformance.translator import Translator
from domain.clocks import Clock
from domain.payouts.scaling import Scaling, ScalingFacts
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.terms import Size

_PLAN: Final = ("increase_pct", "of", "every_months", "min_profit_pct", "min_payouts", "min_profitable_months")
_OTHER: Final = ("profit_stays", "split_pct")
_LOSSES: Final = ("daily_loss", "max_loss")


@dataclass(slots=True)
class _Account:
    """The account since its last step. `months`: the profit of each calendar month, with the payouts added back."""

    case: Case
    clock: Clock | None
    plan: Scaling
    money: Translator = field(init=False)
    size: int = 0
    steps: int = 0
    since: date | None = None
    payouts: int = 0
    months: dict[object, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.money, self.size = Translator(self.case, self.clock), self.case.initial_minor
        self.since = next((raw.day(self.clock) for raw in self.case.events), None)

    def step(self, raw: RawEvent) -> None:
        """Takes one event into account."""
        before = self.money.balance
        self.money.event(raw)
        made = self.money.balance - before
        if raw.kind == "payout" and "account" not in raw.data:
            made += raw.money("gross_amount", self.case.currency) or 0
            self.payouts += 1
        day = raw.day(self.clock)
        month = raw.t if day is None else (day.year, day.month)
        self.months[month] = self.months.get(month, 0) + made
        if raw.kind == "funded":
            self._begin(day)
        if raw.kind == "scale_up":
            self._grow(day)

    def _begin(self, day: date | None) -> None:
        self.since, self.payouts, self.months = day, 0, {}

    def _grow(self, day: date | None) -> None:
        facts = ScalingFacts(
            today=day,
            since=self.since,
            profit_minor=sum(self.months.values()),
            payouts_paid=self.payouts,
            original_minor=self.case.initial_minor,
            current_minor=self.size,
            balance_minor=self.money.balance,
            profitable_months=sum(made > 0 for made in self.months.values()),
            steps=self.steps,
        )
        if self.plan.missing(facts, self.case.currency):
            return
        size = self.plan.next_size(facts, self.case.currency)
        moved = self.plan.next_balance(facts, size) - self.money.balance
        self.money.balance += moved
        self.money.equity += moved
        self.size, self.steps = size, self.steps + 1
        self._begin(day)


def scaling(case: Case) -> EngineResult:
    given = case.params(*_PLAN, *_OTHER, "cap", "day", *(f"{name}_pct" for name in _LOSSES))
    needed(case, "increase_pct")
    terms = {name: given[name] for name in (*_PLAN, *_OTHER) if name in given}
    cap = case.major(amount_of(case, given.get("cap")))
    plan = Scaling.model_validate({"every_months": 0, **terms, "cap": cap})
    account = _Account(case, case.clock(given.get("day")), plan)
    named: dict[str, list[Value]] = {"sizes": [], "balances": []}
    named |= {name: [] for name in _LOSSES if given.get(f"{name}_pct") is not None}
    result = EngineResult(outcome="computed")
    for raw in case.events:
        account.step(raw)
        figures: dict[str, Value] = {
            "size": case.major(account.size),
            "balance": case.major(account.money.balance),
            **_limits(case, given, account.size),
        }
        if raw.kind == "scale_up":
            named["sizes"].append(figures["size"])
            named["balances"].append(figures["balance"])
            for name in _LOSSES:
                if name in named:
                    named[name].append(figures[name])
        lists: dict[str, Value] = {name: list(values) for name, values in named.items()}
        result.amounts = {**figures, "cap": cap, **lists}
        result.steps.append({"cap": cap, **lists, **figures})
    return result


def _limits(case: Case, given: Mapping[str, Any], size_minor: int) -> dict[str, Value]:
    """Returns the allowances of the loss limits at this size, in major units."""
    limits = dict[str, Value]()
    for name in _LOSSES:
        pct = given.get(f"{name}_pct")
        if pct is None:
            continue
        size = Size(type="pct_of_initial", value=Decimal(pct))
        rule: DailyLoss | MaxLossStatic
        if name == "daily_loss":
            rule = DailyLoss(type="daily_loss", anchor="balance", allowance=size, breach_when="equity < floor")
        else:
            rule = MaxLossStatic(type="max_loss_static", allowance=size, breach_when="equity < floor")
        limits[name] = case.major(rule.compile(size_minor, case.currency)[0].allowance(size_minor))
    return limits


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = {"scaling": scaling}
