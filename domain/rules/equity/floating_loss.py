"""Floating loss: what is open may not lose more than a limit, in all, in one symbol or in one position."""

from typing import ClassVar, Final, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.equity.allowances import allowance, allowance_problem
from domain.rules.equity.daily_loss import judged_words
from domain.rules.floors import BasisMoves, FloorSpec, JudgedAt, Per, Source
from domain.rules.terms import Operator, RuleId, Size

_LEVELS: Final[dict[Per, tuple[Source, BasisMoves]]] = {
    "account": ("balance", "always"),
    "symbol": ("zero", "never"),
    "position": ("zero", "never"),
}
_SUBJECTS: Final[dict[Per, str]] = {
    "account": "all your open positions together",
    "symbol": "all your open positions in one symbol together",
    "position": "one open position",
}


class FloatingLoss(EquityRule):
    """The open loss may not be beyond `limit`. `per`: of the account (balance minus equity), of all positions in each
    symbol, or of each position. As a floor: equity against the balance minus the limit, or the result of what is open
    against minus the limit."""

    size_field: ClassVar[str] = "limit"

    type: Literal["floating_loss"]
    id: RuleId = "floating_loss"
    breach_when: Operator = "equity < floor"
    limit: Size
    per: Per = "account"
    judged_at: JudgedAt = "every_event"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if problem := allowance_problem(self.limit, "limit"):
            raise ValueError(problem)
        return self

    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        source, moves = _LEVELS[self.per]
        return (
            FloorSpec(
                rule_id=self.id,
                rule_type=self.type,
                source=source,
                moves=moves,
                initial_minor=initial_minor,
                **allowance(self.limit, initial_minor, currency),
                payout_falls=self.per == "account",
                operator=self.breach_when,
                per=self.per,
                judged_at=self.judged_at,
            ),
        )

    def words(self, context: Context) -> str:
        most = "at most" if self.breach_when == "equity < floor" else "less than"
        words = f"Open loss. At any moment, {_SUBJECTS[self.per]} may lose {most} {context.size(self.limit)}."
        if self.per != "account":
            words += f" Each {self.per} that loses more is an offence of its own."
        words += self.cure_words("the loss") + self.once_words("the loss goes")
        return f"{words}{judged_words(self.judged_at)} {self.consequence_words}"
