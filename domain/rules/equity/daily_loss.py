"""Daily loss: the floor follows an anchor that is taken anew at each daily reset."""

from typing import Final, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule, said, spoken
from domain.rules.floors import FloorSpec, Holds, Moves, Source, allowance
from domain.rules.terms import RuleId, Size

Anchor = Literal["balance", "equity", "max(balance,equity)", "initial_balance", "session_start_net_pnl"]

ANCHORS: Final[dict[Anchor, tuple[Source, Moves]]] = {
    "balance": ("balance", "rollover"),
    "equity": ("equity", "rollover"),
    "max(balance,equity)": ("max(balance,equity)", "rollover"),
    "initial_balance": ("initial", "never"),
    # what the session has won or lost so far counts from zero, and so from the equity it began with
    "session_start_net_pnl": ("equity", "rollover"),
}
ANCHOR_WORDS: Final[dict[Anchor, str]] = {
    "balance": "the balance at the daily reset",
    "equity": "the equity at the daily reset, open profit and loss included",
    "max(balance,equity)": "the higher of balance and equity at the daily reset",
    "initial_balance": "the initial balance",
    "session_start_net_pnl": "the equity at the session's start",
}


class DailyLoss(EquityRule):
    """Equity may not fall the allowance below the anchor (the initial balance before the first reset)."""

    type: Literal["daily_loss"]
    id: RuleId = "daily_loss"
    anchor: Anchor
    allowance: Size
    holds: Holds = Holds()
    payout_effects: tuple[Literal["anchor_falls_by_payout"], ...] = ()

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type not in ("amount", "pct_of_initial", "pct_of_anchor"):
            raise ValueError("allowance: a daily loss is an amount, pct_of_initial or pct_of_anchor")
        if self.anchor == "initial_balance" and self.payout_effects:
            raise ValueError("payout_effects: an anchor that never moves cannot fall by a payout; remove it")
        return self

    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        source, moves = ANCHORS[self.anchor]
        return (
            FloorSpec(
                rule_id=self.id,
                rule_type=self.type,
                source=source,
                moves=moves,
                initial_minor=initial_minor,
                **allowance(self.allowance, initial_minor, currency),
                payout_falls=bool(self.payout_effects),
                operator=self.breach_when,
                holds=self.holds,
            ),
        )

    def words(self, context: Context) -> str:
        reset = (context.loss_clock or context.clock).spoken
        told = f"Daily loss. From reset to reset ({reset}) you may lose {allowed(self.allowance, self.anchor, context)}"
        told += f", counted from {ANCHOR_WORDS[self.anchor]}"
        told += "." if self.anchor == "initial_balance" else "; before the first reset, from the initial balance."
        if self.payout_effects:
            told += " A payout lowers what the limit is counted from by the amount paid."
        return f"{told}{self.holds.words} {self.when_broken(context)}"


def allowed(size: Size, anchor: Anchor, context: Context) -> str:
    """An allowance that may follow the anchor, for people: "4 % of the balance at the daily reset"."""
    if size.type != "pct_of_anchor":
        return spoken(size, context)
    at_first = size.minor(initial=context.initial_minor, basis=context.initial_minor, currency=context.currency)
    first = said(at_first, context.currency)
    return f"{size.value.normalize():f} % of {ANCHOR_WORDS[anchor]} ({first} on the first day)"
