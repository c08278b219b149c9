"""Breaches with doubtful inputs: they end no account; a review shows a person all that is known."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from domain.proofs.money import JudgedAccount
from domain.rules.evaluate import LevelBreach
from domain.rules.marking import conversion_symbol
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind, ReviewNote
from monitor.judging.evidence import breach_sheet
from monitor.judging.feed_quality import Doubt, FeedQuality
from monitor.judging.warnings import warning_period
from monitor.loaded import OpenDoubt
from monitor.state import ShardState


class DoubtfulBreaches:
    """One review per account, level and period. The account stays judged: good data confirm the breach or refute it."""

    def __init__(self, state: ShardState, quality: FeedQuality) -> None:
        self._state, self._quality = state, quality
        self._open: dict[int, dict[str, ReviewNote]] = {}

    def take_up(self, account: AccountRow, open_: Iterable[OpenDoubt]) -> None:
        """Takes over the reviews that an earlier run opened."""
        kind, account_id = ReviewKind.DOUBTFUL_BREACH, account.account_id
        notes = {each.key: ReviewNote(each.key, kind, each.at, each.detail, account_id) for each in open_}
        if notes:
            self._open[account.row] = notes

    def rows(self) -> list[int]:
        """The rows that have an open one."""
        return list(self._open)

    def doubts(
        self, account: AccountRow, at: datetime, *, besides: Doubt | None = None, quotes: bool = True
    ) -> list[Doubt]:
        """Returns the doubts about the account's equity at `at`, without those of the kind of `besides`; without
        `quotes`, only those about its balance."""
        found = self._quality.doubts(account.account_id, self._symbols(account) if quotes else (), at)
        return [doubt for doubt in found if besides is None or doubt.kind is not besides.kind]

    def _symbols(self, account: AccountRow) -> set[str]:
        """The symbols whose quotes the account's equity depends on, conversions included."""
        state = self._state
        if state.marks.stated(account.row):
            return set()
        found, currency = set[str](), account.terms.product.currency
        for symbol in {position.symbol for position in account.positions()}:
            quoted = state.instruments[symbol].quote_currency
            converts = conversion_symbol(quoted, currency, state.board.prices)
            found |= {symbol} if converts is None else {symbol, converts}
        return found

    def review(
        self, account: AccountRow, scene: JudgedAccount, found: Sequence[LevelBreach], doubts: Iterable[Doubt]
    ) -> None:
        """Opens a review of what would have been a breach, once per level and period, with its proof sheet."""
        cause, known = found[0], self._open.setdefault(account.row, {})
        period = warning_period(cause.spec, account, scene.event.at)
        key = f"doubtful_breach/{account.account_id}/{cause.spec.key}/{period}"
        if key in known:
            return
        detail = self._detail(account, scene, cause) | {"doubts": [doubt.to_json() for doubt in doubts]}
        note = ReviewNote(key, ReviewKind.DOUBTFUL_BREACH, scene.event.at, detail, account.account_id)
        known[key] = note
        self._state.facts.reviews.append(note)

    def _detail(self, account: AccountRow, scene: JudgedAccount, verdict: LevelBreach) -> dict[str, Any]:
        return {
            "rule_id": verdict.spec.rule_id,
            "operator": verdict.spec.operator,
            "offence": account.next_offence(verdict.spec.rule_id),
            "phase_index": account.terms.phase_index,
            "seq": account.recorded_seq(scene.event.seq),
            "floor_minor": verdict.floor_minor,
            "equity_minor": verdict.equity_minor,
            "sheet": breach_sheet(self._state, account, scene, verdict),
        }

    def refuted(self, account: AccountRow, at: datetime) -> None:
        """The data are good again and the account is not broken, or it has ended by another verdict."""
        for note in self._open.pop(account.row, {}).values():
            if account.judged:
                good = {"good_data": {"at": at.isoformat(), "equity_minor": account.equity_minor}}
                detail = {**note.detail, **good}
                self._state.facts.reviews.append(ReviewNote(note.key, note.kind, note.at, detail, note.account_id))
