"""A shard after a gap in the stream: the platform's snapshots replace what it missed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from domain.places import on_record
from domain.rules.evaluate import judge
from domain.rules.floors import Mark
from domain.rules.marking import Position
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind
from monitor.judging import reinstated
from monitor.record.recorded_accounts import RecordedAccounts
from monitor.shard import Shard
from monitor.state import ShardState
from ports.platform import AccountSnapshot, AccountState, GapInStream, PlatformStream

_NEWEST: Final = 2**63 - 1


def resync(
    shard: Shard,
    accounts: RecordedAccounts,
    gap: GapInStream,
    stream: PlatformStream,
    number: int,
    at: datetime,
    beat: Callable[[], None],
) -> None:
    """Takes money and positions of every account from the platform, and records the gap.

    `at`: the market time at which the stream continues. `beat` is called per account. Events in the gap cannot be
    judged, and events up to an account's snapshot are not judged on it either: an account that is broken in the
    snapshot gets a review, and a verdict only from the next event that affects it.
    """
    state = shard.state
    active, back = set[int](), set[int]()
    for loaded in accounts.active():
        beat()
        account = state.accounts.find(loaded.login) or shard.admission.admit(loaded, at)
        active.add(account.row)
        if not account.judged:  # the event that enabled it may be lost in the gap
            account.judged = True
            account.ended, account.offences = False, loaded.offences_before(_NEWEST)
            if account.offences:
                back.add(account.row)
    shard.quality.gap()
    present = list(state.accounts.present())
    detail = {"shard": number, "asked": gap.asked, "first": gap.first, "accounts": len(present)}
    state.review(ReviewKind.GAP, f"{number}/{gap.asked}-{gap.first}", at, detail)
    for account in present:
        beat()
        if account.row not in active and account.judged:  # the event that disabled it may be lost in the gap
            account.mark_changed()
            state.silence(account)
        if account.row in active or account.open_positions:
            _take_over(state, account, stream.snapshot(account.login), at, returned=account.row in back)


def _take_over(
    state: ShardState, account: AccountRow, snapshot: AccountSnapshot, at: datetime, *, returned: bool
) -> None:
    before = account.balance_minor
    account.balance_minor, account.synced = snapshot.balance_minor, snapshot.seq
    account.opening = (snapshot.balance_minor, at, snapshot.seq)
    account.mark_changed()
    account.clear_movements()
    state.clear_positions(account)
    for p in snapshot.positions:
        if state.knows_symbol(p.symbol, at):
            name = on_record(account.place_number, p.position_id)
            state.marks.put(account, Position(name, p.symbol, p.side, p.lots, p.open_price, p.opened_at))
    state.revalue(account)
    if state.marks.stated(account.row):
        state.marks.take(account, _state_of(snapshot, at))
    state.bars.restart(account.row)
    detail = _broken_at(state, account, snapshot, at, returned=returned)
    if snapshot.balance_minor != before:
        detail |= {"ours_minor": before, "venue_minor": snapshot.balance_minor}
    if detail:
        detail |= {"seq": snapshot.seq}
        state.review(ReviewKind.GAP, f"{account.account_id}/{snapshot.seq}", at, detail, account)
    state.set_alarms(account)


def _state_of(snapshot: AccountSnapshot, at: datetime) -> AccountState:
    return AccountState(
        seq=snapshot.seq,
        at=at,
        login=snapshot.login,
        balance_minor=snapshot.balance_minor,
        equity_minor=snapshot.equity_minor,
    )


def _broken_at(
    state: ShardState, account: AccountRow, snapshot: AccountSnapshot, at: datetime, *, returned: bool
) -> dict[str, Any]:
    """Moves the account's rules to the snapshot. Returns what a review says of the first broken one, or nothing.

    The equity is the venue's own: our quotes are from before the gap.
    """
    if not account.judged:
        return {}
    rules = account.rules
    mark = Mark(snapshot.balance_minor, snapshot.equity_minor, snapshot.seq, at, account.costs)
    if returned:
        rules, fresh = reinstated.rules_of(state, account, mark)
        if account.conduct is not None:
            account.conduct.come_back(fresh=fresh)
    after, found = judge(rules, mark)
    account.rules = after
    if not found:
        return {}
    return {
        "why": "broken at the first sight after the gap; no verdict was given",
        "rule_id": found[0].spec.rule_id,
        "operator": found[0].spec.operator,
        "floor_minor": found[0].floor_minor,
        "equity_minor": snapshot.equity_minor,
    }
