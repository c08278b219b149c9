"""What the record has of accounts, symbols and releases, in the words of surveillance."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.floors import FloorSpec
from store import products, venue_clocks
from store.identity_facts import AccountFact
from store.models import NewsRelease
from store.models import SymbolFacts as SymbolRow
from store.read import trading
from surveillance.accounts import AccountFacts
from surveillance.book import NEVER, UNKNOWN, Accounts, Events, Identities
from surveillance.build import Array, column, events_table, identities_table
from surveillance.known_symbols import SymbolFacts

_DAILY: Final = ("daily_loss",)
_TOTAL: Final = ("max_loss_static", "max_loss_trailing")
_IMPACT: Final = {"low": 1, "medium": 2, "high": 3}
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

# The code of `surveillance.book.REASONS` for each code of `store.read.trading.REASONS`, which begins at 1.
REASONS: Final = (0, 1, 2, 3, 4, 7, 8, 9, 10, 6)


def microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


class AccountBook:
    """Reads accounts with the limits of their products. Terms of a version are read once."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, int, int, int], PhaseTerms] = {}

    async def facts(
        self, session: AsyncSession, found: Sequence[trading.TradingAccount]
    ) -> list[tuple[int, AccountFacts]]:
        """Returns the number of each account and what patterns know of it."""
        ahead = await venue_clocks.ahead(session)
        return [(each.number, await self._facts(session, each, ahead.get(each.platform))) for each in found]

    async def _facts(self, session: AsyncSession, account: trading.TradingAccount, ahead: int | None) -> AccountFacts:
        key = (account.product, account.version, account.phase_index, account.initial_minor)
        terms = self._terms.get(key)
        if terms is None:
            product = await products.load(session, account.product, account.version)
            terms = self._terms[key] = phase_terms(product, account.phase_index, initial_minor=account.initial_minor)
        return AccountFacts(
            id=account.id,
            owner=account.trader_id,
            challenge=account.challenge_id,
            phase=_phase(terms.product, account.phase_index),
            product=terms.product.ref,
            currency=account.currency,
            zone=terms.product.clock.zone,
            platform="" if account.moved else account.platform,
            size_minor=account.initial_minor,
            daily_loss_minor=_least(terms, _DAILY),
            max_loss_minor=_least(terms, _TOTAL),
            target_minor=UNKNOWN if terms.target_minor is None else terms.target_minor,
            min_days=terms.min_trading_days or UNKNOWN,
            opened=UNKNOWN if account.opened_at is None else microseconds(account.opened_at),
            ended=NEVER if account.ended_at is None else microseconds(account.ended_at),
            outcome=account.outcome,
            venue=account.platform,
            ahead=ahead,
        )


def _phase(product: Product, index: int) -> str:
    return "funded" if index == product.funded_index else f"phase{index}"


def _least(terms: PhaseTerms, kinds: Sequence[str]) -> int:
    """Returns the smallest loss that one of these rules allows at the start, UNKNOWN when there is none."""
    found = [
        _allowance(spec, terms.initial_minor)
        for spec in terms.specs
        if spec.rule_type in kinds and spec.direction == "floor" and spec.per == "account"
    ]
    return min((each for each in found if each > 0), default=UNKNOWN)


def _allowance(spec: FloorSpec, initial_minor: int) -> int:
    if spec.allowance_minor is not None:
        return spec.allowance_minor
    return 0 if spec.allowance_pct is None else int(initial_minor * spec.allowance_pct / 100)


def symbols(rows: Sequence[SymbolRow]) -> tuple[SymbolFacts, ...]:
    """Returns the facts of symbols, those told last when platforms differ."""
    found = {
        row.symbol: SymbolFacts(
            name=row.symbol,
            asset=row.asset,
            base=row.base_currency,
            quote=row.quote_currency,
            contract_size=float(row.contract_size),
            point=10.0**-row.digits,
            group=row.together,
            synonym_of=row.synonym_of,
        )
        for row in rows
    }
    return tuple(found[name] for name in sorted(found))


def events(rows: Sequence[NewsRelease]) -> Events | None:
    """Returns the releases, one row for each currency or instrument that a release affects; None when none is known."""
    told = [(row, name) for row in rows for name in (row.names or [""])]
    if not told:
        return None
    return events_table(_columns(told))


def identities(facts: Sequence[AccountFact], accounts: Accounts) -> Identities | None:
    """Returns the facts of the accounts in this table; None when there is none."""
    known = set(accounts.id.tolist())
    told = [fact for fact in facts if fact.account_id in known]
    if not told:
        return None
    columns = {
        "account": column([fact.account_id for fact in told], "O"),
        "kind": column([fact.kind for fact in told], "O"),
        "value": column([fact.digest for fact in told], "O"),
        "at": column([microseconds(fact.at) for fact in told], "i8"),
    }
    return identities_table(columns, accounts)


def _columns(told: Sequence[tuple[NewsRelease, str]]) -> dict[str, Array]:
    return {
        "at": column([microseconds(row.released_at) for row, _ in told], "i8"),
        "currency": column([name for _, name in told], "O"),
        "impact": column([_IMPACT.get(row.impact, 0) for row, _ in told], "i1"),
        "title": column([row.title for row, _ in told], "O"),
    }
