"""Breaches whose inputs are doubtful: they end no account, a person sees them with all that is known."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from domain.ids import derived_id
from domain.rules import proof
from domain.rules.evaluate import Verdict
from domain.rules.marking import conversion_symbol
from domain.rules.proof import Scene
from monitor.columns.roster import Account
from monitor.columns.stated_marks import StatedMarks
from monitor.facts import Harvest
from monitor.judging.feed_quality import Doubt, FeedQuality, Kind, ReviewNote
from monitor.judging.warnings import period


class DoubtfulBreaches:
    """One review per account, level and period. The account is watched on: good data judge it, or leave it be."""

    def __init__(self, marks: StatedMarks, quality: FeedQuality, harvest: Harvest) -> None:
        self._marks, self._quality, self._harvest = marks, quality, harvest
        self._open: dict[int, dict[str, ReviewNote]] = {}

    def rows(self) -> list[int]:
        """The rows that have one."""
        return list(self._open)

    def of(self, account: Account, at: datetime, *, besides: Doubt | None = None) -> list[Doubt]:
        """What is doubtful about the account's equity at `at`."""
        found = self._quality.doubts(account.account_id, self._symbols(account), at)
        return [doubt for doubt in found if besides is None or doubt.kind is not besides.kind]

    def _symbols(self, account: Account) -> set[str]:
        """The quotes that the account's equity rests on, those that convert included."""
        if self._marks.stated(account.row):
            return set()
        found, currency = set[str](), account.terms.product.currency
        for symbol in {position.symbol for position in account.positions()}:
            quoted = self._marks.instruments[symbol].quote_currency
            converts = conversion_symbol(quoted, currency, self._marks.board.prices)
            found |= {symbol} if converts is None else {symbol, converts}
        return found

    def review(self, account: Account, scene: Scene, found: Sequence[Verdict], doubts: Iterable[Doubt]) -> None:
        """Say once per level and period what would have been a breach, with its proof sheet as far as it goes."""
        cause, known = found[0], self._open.setdefault(account.row, {})
        key = f"doubtful_breach/{account.account_id}/{cause.spec.key}/{period(cause.spec, account, scene.event.at)}"
        if key in known:
            return
        detail = self._detail(account, scene, cause) | {"doubts": [doubt.to_json() for doubt in doubts]}
        note = ReviewNote(key, Kind.DOUBTFUL_BREACH, scene.event.at, detail, account.account_id)
        known[key] = note
        self._harvest.reviews.append(note)

    def _detail(self, account: Account, scene: Scene, verdict: Verdict) -> dict[str, Any]:
        spec, phase = verdict.spec, account.terms.phase_index
        offence = account.offence(spec.rule_id)
        proof_id = derived_id("prf", account.account_id, phase, spec.rule_id, offence)
        board, instruments = self._marks.board, self._marks.instruments
        return {
            "rule_id": spec.rule_id,
            "operator": spec.operator,
            "offence": offence,
            "phase_index": phase,
            "seq": scene.event.seq,
            "floor_minor": verdict.floor_minor,
            "equity_minor": verdict.equity_minor,
            "sheet": proof.breach_sheet(proof_id, scene, spec, verdict.state, board, instruments, offence=offence),
        }

    def refuted(self, account: Account, equity_minor: int, at: datetime, *, judged: bool) -> None:
        """The data are good again and the account stands; or it has ended otherwise, which is said elsewhere."""
        for note in self._open.pop(account.row, {}).values():
            if judged:
                outcome = {"good_data": {"at": at.isoformat(), "equity_minor": equity_minor}}
                detail = {**note.detail, **outcome}
                self._harvest.reviews.append(ReviewNote(note.key, note.kind, note.at, detail, note.account_id))
