"""Statement source on Stripe: the balance transactions of the firm's account."""

from collections import deque
from datetime import UTC, date, datetime
from typing import Final

from pydantic import ValidationError
from stripe.params import BalanceTransactionListParams

from adapters.stripe import shapes
from adapters.stripe.amounts import from_stripe
from adapters.stripe.client import KEY, PAGE, REFERENCE, ClientSettings, Connection
from adapters.stripe.events import made_id
from domain.errors import BadInput, CursorForgotten, NotFound, PropOSError
from ports.plugin import Plugin
from ports.statements import StatementBalance, StatementEntry, StatementSource

_FEE: Final = ":fee"  # ends the id of the entry that a balance transaction's fee gets
_REMEMBERED: Final = 1000
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Stripe's reporting category -> our kind. Others keep Stripe's word.
_KINDS: Final = {
    "charge": "charge",
    "refund": "refund",
    "refund_failure": "refund_failed",
    "dispute": "dispute",
    "dispute_reversal": "dispute_won",
    "fee": "fee",
    "network_cost": "fee",
    "tax": "fee",
    "transfer": "transfer",
    "transfer_reversal": "transfer_return",
    "payout": "settlement",
    "payout_reversal": "settlement",  # the bank sent it back: a positive amount
}


class StatementSettings(ClientSettings):
    """`since`: the first day to read (UTC). Set it for an account with a history of its own."""

    since: date | None = None


class StripeStatements(Connection):
    """A StatementSource. The fee of a movement is an entry of its own after it."""

    def __init__(self, name: str, settings: StatementSettings) -> None:
        super().__init__(name, settings)
        self._since = settings.since
        self._references: dict[str, str] = {}  # of charges and transfers that were asked for; entries are read again

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        """`limit` counts movements without their fees. Stripe lists the newest first, so the first read passes over
        all of them once."""
        params: BalanceTransactionListParams = {"limit": min(PAGE, limit), "expand": ["data.source"]}
        if self._since is not None:
            first = datetime(self._since.year, self._since.month, self._since.day, tzinfo=UTC)
            params["created"] = {"gte": int(first.timestamp())}
        if after is not None:
            params["ending_before"] = after.removesuffix(_FEE)
        rows: deque[object] = deque(maxlen=limit)
        try:
            async for row in self._api.raw_rows(self._v1.balance_transactions.list_async(params)):
                rows.append(row)
                if after is not None and len(rows) == limit:
                    break
        except (BadInput, NotFound) as exc:
            raise CursorForgotten(f"Stripe no longer knows the movement {after!r}.") from exc
        oldest_first = rows if after is not None else reversed(rows)
        return [entry for row in oldest_first for entry in await self._read(row)]

    async def balances(self) -> list[StatementBalance]:
        balance = await self._api.read(shapes.Balance, self._v1.balance.retrieve_async())
        now, sums = datetime.now(UTC), dict[str, int]()
        for part in (*balance.available, *balance.pending):
            sums[part.currency] = sums.get(part.currency, 0) + part.amount
        return [
            StatementBalance(currency=currency, amount_minor=from_stripe(amount, currency), at=now)
            for currency, amount in sums.items()
        ]

    async def _read(self, row: object) -> list[StatementEntry]:
        """Returns the entries of a balance transaction: its amount, and its fee if it has one."""
        try:
            moved = shapes.BalanceTransaction.model_validate(row)
            amount = from_stripe(moved.amount, moved.currency)
            fee = from_stripe(moved.fee, moved.currency)
        except (ValidationError, PropOSError) as exc:
            return [_unreadable(row, exc)]
        source = moved.source if isinstance(moved.source, shapes.Source) else None
        source_id = source.id if source else moved.source
        entry = StatementEntry(
            entry_id=moved.id,
            object_id=str(source_id or moved.id)[:80],
            reference=await self._reference(source),
            kind=_KINDS.get(moved.reporting_category, moved.reporting_category)[:20],
            amount_minor=amount,
            currency=moved.currency,
            at=datetime.fromtimestamp(moved.created, UTC),
        )
        taken = entry.model_copy(update={"entry_id": f"{moved.id}{_FEE}", "kind": "fee", "amount_minor": -fee})
        return [entry, taken] if fee else [entry]

    async def _reference(self, source: shapes.Source | None) -> str:
        """Returns the key of a transfer, or the challenge id of a payment and of what came out of it. Disputes, and
        refunds and reversals made at Stripe's own desk, do not carry it: the charge or transfer that they name does."""
        if source is None:
            return ""
        word = KEY if source.object in ("transfer", "transfer_reversal") else REFERENCE
        found = source.metadata.get(word)
        named = source.charge if source.charge is not None else source.transfer
        if found is None and named is not None:
            found = self._references.get(named) or await self._reference_of(source, word)
            if found is not None:
                self._references[named] = found
                if len(self._references) > _REMEMBERED:
                    del self._references[next(iter(self._references))]
        return "".join(letter for letter in found or "" if " " <= letter <= "~")[:40]

    async def _reference_of(self, source: shapes.Source, word: str) -> str | None:
        """Asks for the charge or the transfer that `source` names."""
        try:
            if source.charge is not None:
                call = self._v1.charges.retrieve_async(source.charge)
                return (await self._api.read(shapes.Charge, call)).metadata.get(word)
            transfer = self._v1.transfers.retrieve_async(source.transfer or "")
            return (await self._api.read(shapes.Transfer, transfer)).metadata.get(word)
        except NotFound:
            return None


def _unreadable(row: object, error: Exception) -> StatementEntry:
    """Returns an entry that shows what cannot be read, without quoting it."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_input=False)
        problem = "; ".join(f"{each['loc'][0] if each['loc'] else 'entry'}: {each['msg']}" for each in wrong)
    else:
        problem = str(error)
    given = row.get("id") if isinstance(row, dict) else None
    readable = isinstance(given, str) and 0 < len(given) <= 70 and all("!" <= letter <= "~" for letter in given)
    return StatementEntry(
        entry_id=str(given) if readable else made_id(row),
        object_id="-",
        reference="-",
        kind="unreadable",
        amount_minor=0,
        currency="-",
        at=_NO_TIME,
        problem=problem,
    )


def _build(name: str, settings: StatementSettings) -> StatementSource:
    return StripeStatements(name, settings)


PLUGIN: Final = Plugin(StatementSettings, None, _build)
