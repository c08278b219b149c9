"""Daily loss: the floor follows an anchor that is taken again at each daily reset."""

from typing import Final, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.floors import BasisMoves, FloorSpec, Source, WorthParts, allowance
from domain.rules.terms import RuleId, Size
from domain.wording import percent

Anchor = Literal["balance", "equity", "max(balance,equity)", "initial_balance", "session_start_net_pnl"]

ANCHORS: Final[dict[Anchor, tuple[Source, BasisMoves]]] = {
    "balance": ("balance", "rollover"),
    "equity": ("equity", "rollover"),
    "max(balance,equity)": ("max(balance,equity)", "rollover"),
    "initial_balance": ("initial", "never"),
    # the result of the session starts at zero, so it is measured from the equity at the start of the session
    "session_start_net_pnl": ("equity", "rollover"),
}
ANCHOR_WORDS: Final[dict[Anchor, str]] = {
    "balance": "the balance at the daily reset",
    "equity": "the equity at the daily reset, including open profit and loss",
    "max(balance,equity)": "the higher of balance and equity at the daily reset",
    "initial_balance": "the initial balance",
    "session_start_net_pnl": "the equity at the start of the session",
}


class DailyLoss(EquityRule):
    """Equity may not fall below the anchor minus the allowance. Until the first reset the anchor is the initial
    balance."""

    type: Literal["daily_loss"]
    id: RuleId = "daily_loss"
    anchor: Anchor
    allowance: Size
    holds: WorthParts = WorthParts()
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
        words = f"Daily loss. From {reset_words(context)} you may lose at most"
        words += f" {measured_words(self.allowance, self.anchor, context)}"
        if self.payout_effects:
            words += " A payout lowers the figure that the limit is measured from by the amount paid."
        return f"{words}{self.holds.words} {self.breach_words(context)}"


def reset_words(context: Context) -> str:
    """Returns the span of a daily limit: "one daily reset (00:00 UTC) to the next"."""
    return f"one daily reset ({(context.loss_clock or context.clock).words}) to the next,"


def measured_words(size: Size, anchor: Anchor, context: Context) -> str:
    """Returns an allowance and the anchor that it is measured from, up to the full stop."""
    words = f"{context.size(size)}, measured from {ANCHOR_WORDS[anchor]}."
    if size.type == "pct_of_anchor":
        first = size.minor(initial=context.initial_minor, basis=context.initial_minor, currency=context.currency)
        words = f"{percent(size.value)} of {ANCHOR_WORDS[anchor]} ({context.money(first)} on the first day),"
        words += " measured from that figure."
    if anchor != "initial_balance":
        words += " Until the first reset the limit is measured from the initial balance."
    return words
