"""Daily loss: the floor follows an anchor that is taken again at each daily reset, or at each that begins a period."""

from typing import Annotated, Final, Literal, Self

from pydantic import model_validator

from domain.clocks import PERIOD_WORDS, Period
from domain.rules.base import Context, EquityRule
from domain.rules.equity.allowances import allowance, allowance_problem
from domain.rules.floors import BasisMoves, FloorSpec, JudgedAt, Source, WorthParts
from domain.rules.terms import LATER, RuleId, Size
from domain.wording import capital

Anchor = Literal[
    "balance", "equity", "max(balance,equity)", "initial_balance", "session_start_net_pnl", "intraday_equity_peak"
]

ANCHORS: Final[dict[Anchor, tuple[Source, BasisMoves]]] = {
    "balance": ("balance", "rollover"),
    "equity": ("equity", "rollover"),
    "max(balance,equity)": ("max(balance,equity)", "rollover"),
    "initial_balance": ("initial", "never"),
    # the result of the session starts at zero, so it is measured from the equity at the start of the session
    "session_start_net_pnl": ("equity", "rollover"),
    "intraday_equity_peak": ("equity", "peak_since_rollover"),
}
_ANCHOR_WORDS: Final[dict[Anchor, str]] = {
    "balance": "the balance at {reset}",
    "equity": "the equity at {reset}, including open profit and loss",
    "max(balance,equity)": "the higher of balance and equity at {reset}",
    "initial_balance": "the initial balance",
    "session_start_net_pnl": "the equity at the start of the {session}",
    "intraday_equity_peak": "the highest equity since {reset}, including open profit",
}
_SESSIONS: Final[dict[Period, str]] = {"day": "session", "week": "week", "month": "month"}


class DailyLoss(EquityRule):
    """Equity may not fall below the anchor minus the allowance. Until the first reset the anchor is the initial
    balance."""

    type: Literal["daily_loss"]
    id: RuleId = "daily_loss"
    anchor: Anchor
    allowance: Size
    holds: WorthParts = WorthParts()
    payout_effects: tuple[Literal["anchor_falls_by_payout"], ...] = ()
    period: Annotated[Period, LATER] = "day"
    judged_at: Annotated[JudgedAt, LATER] = "every_event"

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if problem := allowance_problem(self.allowance):
            raise ValueError(problem)
        if self.anchor == "initial_balance":
            if self.payout_effects:
                raise ValueError("payout_effects: an anchor that never moves cannot fall by a payout; remove it")
            if self.period != "day":
                raise ValueError("period: an anchor that never moves has no period; remove it")
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
                **allowance(self.allowance, initial_minor, currency, "pct_of_anchor"),
                payout_falls=bool(self.payout_effects),
                operator=self.breach_when,
                holds=self.holds,
                period=self.period,
                judged_at=self.judged_at,
            ),
        )

    def words(self, context: Context) -> str:
        words = (
            f"{capital(PERIOD_WORDS[self.period])} loss. From {reset_words(context, self.period)} you may lose at most"
        )
        words += f" {measured_words(self.allowance, self.anchor, context, self.period)}"
        if self.payout_effects:
            words += " A payout lowers the figure that the limit is measured from by the amount paid."
        return f"{words}{self.holds.words}{judged_words(self.judged_at)} {self.breach_words(context)}"


def reset_words(context: Context, period: Period = "day") -> str:
    """Returns the span of a limit: "one daily reset (00:00 UTC) to the next"."""
    reset = (context.loss_clock or context.clock).words
    if period == "day":
        return f"one daily reset ({reset}) to the next,"
    return f"the first daily reset of a {period} ({reset}) to that of the next {period},"


def judged_words(judged_at: JudgedAt) -> str:
    """Returns when the level is compared, as a sentence after a space; empty for every event."""
    if judged_at == "every_event":
        return ""
    return " It is compared at the daily reset only, with the limit from before it."


def measured_words(size: Size, anchor: Anchor, context: Context, period: Period = "day") -> str:
    """Returns an allowance and the anchor that it is measured from, up to the full stop."""
    reset = "the daily reset" if period == "day" else f"the first reset of the {period}"
    named = _ANCHOR_WORDS[anchor].format(reset=reset, session=_SESSIONS[period])
    words = f"{context.size(size, anchor=named)}, measured from {named}."
    if size.type == "pct_of_anchor" and size.is_plain:
        first = size.minor(initial=context.initial_minor, basis=context.initial_minor, currency=context.currency)
        span = "on the first day" if period == "day" else f"in the first {period}"
        words = f"{context.size(size, anchor=named)} ({context.money(first)} {span}), measured from that figure."
    first_reset = "the first reset" if period == "day" else f"a reset begins a {period} for the first time,"
    if anchor == "intraday_equity_peak":
        words += f" Until {first_reset} it is the highest equity since the start, and at least the initial balance."
    elif anchor != "initial_balance":
        words += f" Until {first_reset} the limit is measured from the initial balance."
    return words
