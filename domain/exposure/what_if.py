"""The answer to a what-if: of one shard, and of the firm."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from domain.exposure.figures import Part
from domain.exposure.shocks import Shock
from domain.pnl import REPORTING_CURRENCY

MOST_NAMED: Final = 200  # accounts of one kind that an answer names


class Question(Part):
    """Several shocks, each by itself. A shard answers them on one copy of its columns."""

    shocks: tuple[Shock, ...]


class Affected(Part):
    """An account that a shock changes. `rule`: the limit that breaks first; empty for a pass."""

    account_id: str
    rule: str
    equity_minor: int
    currency: str


class Outcome(Part):
    """What one shock does to the accounts of a shard, or of the firm. Money in the reporting currency.

    `breaches`: phases that end; `offences`: limits broken with a lesser consequence; `passes`. Each counts all, and
    `named` says which, as far as there is room. `floating_minor`: the change of the traders' open profit.
    `owed_minor`: what the firm would owe afterwards if everything were closed; a broken account is owed nothing.
    `closed`: positions whose stop or take profit is reached. `confirmed`: accounts that the exact evaluator judged.
    `unknown`: accounts without a known equity. `estimated`: accounts whose venue states the equity.
    """

    breaches: int = 0
    offences: int = 0
    passes: int = 0
    breached: tuple[Affected, ...] = ()
    offending: tuple[Affected, ...] = ()
    passing: tuple[Affected, ...] = ()
    floating_minor: int = 0
    owed_minor: int = 0
    closed: int = 0
    confirmed: int = 0
    unknown: int = 0
    estimated: int = 0


class ShardAnswer(Part):
    """`owed_minor`: what the firm would owe now, before any shock. `took_us`: microseconds of computing."""

    at: datetime
    accounts: int
    owed_minor: int
    outcomes: tuple[Outcome, ...]
    took_us: int
    error: str = ""


class FirmAnswer(Part):
    """`missing`: shards that did not answer in time; their accounts are not in the figures. `took_us`: of the slowest
    shard."""

    currency: Literal["USD"] = REPORTING_CURRENCY
    at: datetime | None
    accounts: int
    shards: int
    missing: tuple[int, ...]
    owed_minor: int
    outcomes: tuple[Outcome, ...]
    took_us: int


def merged(answers: Sequence[ShardAnswer], shocks: int, missing: Sequence[int] = ()) -> FirmAnswer:
    """Adds up the answers of the shards, shock by shock."""
    return FirmAnswer(
        at=min((answer.at for answer in answers), default=None),
        accounts=sum(answer.accounts for answer in answers),
        shards=len(answers),
        missing=tuple(missing),
        owed_minor=sum(answer.owed_minor for answer in answers),
        outcomes=tuple(_outcome([answer.outcomes[number] for answer in answers]) for number in range(shocks)),
        took_us=max((answer.took_us for answer in answers), default=0),
    )


def _outcome(parts: Sequence[Outcome]) -> Outcome:
    lists = ("breached", "offending", "passing")
    sums = {name: sum(getattr(part, name) for part in parts) for name in Outcome.model_fields if name not in lists}
    named = {
        name: tuple(sorted((each for part in parts for each in getattr(part, name)), key=_by_account))[:MOST_NAMED]
        for name in lists
    }
    return Outcome(**sums, **named)


def _by_account(affected: Affected) -> str:
    return affected.account_id
