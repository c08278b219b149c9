"""An adjustment of a balance before it is made: what balance, equity and the room to every level become, in words."""

from dataclasses import dataclass

from domain.money import Money
from domain.rules.floors import Mark
from domain.rules.room import Room, rooms
from domain.rules.state import AccountRules, on_mark
from domain.wording import capital, money, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """`balance`, `equity`: as they are now. `before`, `after`: the room to each level now and afterwards, in the order
    of the product's rules."""

    change: Money
    balance: Money
    equity: Money
    before: tuple[Room, ...]
    after: tuple[Room, ...]

    @property
    def balance_after(self) -> Money:
        return Money(minor=self.balance.minor + self.change.minor, currency=self.balance.currency)

    @property
    def equity_after(self) -> Money:
        return Money(minor=self.equity.minor + self.change.minor, currency=self.equity.currency)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What becomes of balance and equity, and of each level that limits the account: a sentence each."""
        return (
            f"The balance goes from {self.balance} to {self.balance_after}.",
            f"The equity goes from {self.equity} to {self.equity_after}.",
            *(
                _of_level(before, after, self.balance.currency)
                for before, after in zip(self.before, self.after, strict=True)
                if after.limited
            ),
        )


def adjusted(rules: AccountRules, mark: Mark, change: Money) -> Adjusted:
    """Returns what an adjustment does: levels that follow the balance or the equity move as they do at any event."""
    minor, currency = change.minor, change.currency
    later = Mark(mark.balance_minor + minor, mark.equity_minor + minor, mark.seq, mark.at, mark.costs)
    return Adjusted(
        change=change,
        balance=Money(minor=mark.balance_minor, currency=currency),
        equity=Money(minor=mark.equity_minor, currency=currency),
        before=rooms(rules, mark),
        after=rooms(on_mark(rules, later), later),
    )


def _of_level(before: Room, after: Room, currency: str) -> str:
    level, stands = after.spec.direction, money(after.floor_minor, currency)
    moves = f"stays at {stands}" if before.floor_minor == after.floor_minor else f"moves to {stands}"
    room = f"the room goes from {money(before.room_minor, currency)} to {money(after.room_minor, currency)}"
    left = "no room is left" if after.is_none else room
    return f"{capital(name(after.spec.rule_id))}: {left}; the {level} {moves}."
