"""Deals and balance operations: what changes closed money and positions, and the start of an account's life."""

from dataclasses import replace
from typing import TYPE_CHECKING

from domain.pnl import RateMissing
from domain.rules.base import Violation
from domain.rules.floors import Mark
from domain.rules.marking import Position
from domain.rules.proof import Movement
from domain.rules.state import (
    AccountRules,
    on_payout_hold,
    on_payout_release,
    on_payout_settled,
    on_reinstatement,
)
from monitor.columns.roster import Account
from monitor.judging.judge import Happening
from ports.platform import AccountChanged, AccountState, BalanceOperation, Deal

if TYPE_CHECKING:
    from monitor.shard import Shard


class MoneyEvents:
    """The money half of a shard's event handling; holds no state of its own."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard

    def deal(self, deal: Deal) -> None:
        """Apply a fill, then judge the account at it."""
        shard = self._shard
        account = shard.account(deal.login, deal.at)
        if account is None or deal.seq <= shard.columns.synced[account.row]:
            return
        shard.harvest.deals.append((account.account_id, deal))
        change = deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor
        self._book(
            account, deal, Movement(seq=deal.seq, at=deal.at, kind="deal", reference=deal.deal_id, amount_minor=change)
        )
        account.costs = replace(
            account.costs,
            commission_minor=account.costs.commission_minor + deal.commission_minor,
            swap_minor=account.costs.swap_minor + deal.swap_minor,
            fee_minor=account.costs.fee_minor + deal.fee_minor,
        )
        before = account.holdings.get(deal.position_id) if account.standing else None
        known = shard.knows(deal.symbol, deal.at)
        if not known:
            shard.marks.resync(account)  # we cannot mark its position, but what it did to the balance is certain
        elif deal.entry == "in":
            self._open(account, deal)
        else:
            self._close(account, deal)
        violations = shard.conduct.deal(account, deal, before)
        event = Happening("deal", deal.seq, deal.at, deal.symbol)
        # Whether the account is flat, as a pass asks for, cannot be said when it traded what we cannot hold.
        self._judge(account, event, violations, target=known)

    def operation(self, operation: BalanceOperation) -> None:
        """Apply money that came or went without a trade, and what it does to the rules; then judge."""
        shard = self._shard
        account = shard.account(operation.login, operation.at)
        if account is None or operation.seq <= shard.columns.synced[account.row]:
            return
        shard.harvest.operations.append((account.account_id, operation))
        before = int(shard.columns.balance[account.row])
        size = abs(operation.amount_minor)
        change = -size if operation.operation == "payout_hold" else operation.amount_minor
        moved = Movement(
            seq=operation.seq, at=operation.at, kind="balance", reference=operation.key, amount_minor=change
        )
        self._book(account, operation, moved)
        shard.marks.resync(account)
        if before == 0 and operation.operation == "deposit":
            shard.bars.restart(account.row)
        rules = shard.rules.get(account.row, account.terms.specs)
        effect: AccountRules | None = None
        if operation.operation == "payout_hold":
            effect = on_payout_hold(rules, size)
        elif operation.operation == "payout_release":
            effect = on_payout_release(rules, size)
        elif operation.operation == "payout_settled":
            effect = on_payout_settled(rules)
        violations = shard.conduct.operation(account, operation)
        event = Happening("balance", operation.seq, operation.at)
        self._judge(account, event, violations, moved=effect)

    def begin(self, account: Account, event: AccountChanged, offences: dict[str, int]) -> None:
        """An account may trade: judge it from here on. With earlier breaches it comes back from a reinstatement."""
        shard = self._shard
        rules = shard.rules.get(account.row, account.terms.specs)
        account.offences = offences
        if account.ended or offences:
            try:
                equity = shard.marks.exact(account)
            except RateMissing:
                equity = int(shard.columns.balance[account.row])
            rules = on_reinstatement(rules, Mark(int(shard.columns.balance[account.row]), equity, event.seq, event.at))
        account.ended = False
        shard.columns.judged[account.row] = True
        shard.conduct.begin(account, event.seq, event.at)
        shard.judge.account(account, Happening("account", event.seq, event.at), moved=rules, target=True)

    def _judge(
        self,
        account: Account,
        event: Happening,
        violations: tuple[Violation, ...],
        *,
        moved: AccountRules | None = None,
        target: bool = True,
    ) -> None:
        shard = self._shard
        shard.columns.dirty[account.row] = True
        shard.bars.touch_row(account.row)
        if shard.columns.judged[account.row]:
            shard.judge.money(account, event, violations, moved=moved, target=target)
        elif moved is not None:
            shard.rules.put(account.row, moved)

    def state_balance(self, account: Account, state: AccountState) -> None:
        """The venue states a balance; one that its own fills do not lead to is a review."""
        if state.balance_minor != int(self._shard.columns.balance[account.row]):
            movement = Movement(seq=state.seq, at=state.at, kind="balance", reference="venue state", amount_minor=0)
            self._book(account, state, movement)

    def _book(self, account: Account, event: Deal | BalanceOperation | AccountState, movement: Movement) -> None:
        """The venue's balance is the balance; when ours would differ, that is a review."""
        columns, row = self._shard.columns, account.row
        before = int(columns.balance[row])
        expected, actual = before + movement.amount_minor, event.balance_minor
        if expected != actual:
            detail = {"seq": event.seq, "ours_minor": expected, "venue_minor": actual}
            self._shard.note("equity_drift", f"{account.account_id}/{event.seq}", event.at, detail, account.account_id)
        columns.balance[row] = actual
        account.moved(movement.model_copy(update={"amount_minor": actual - before}))

    def _open(self, account: Account, deal: Deal) -> None:
        held = account.holdings.get(deal.position_id)
        if held is None:
            position = Position(deal.position_id, deal.symbol, deal.side, deal.lots, deal.price, deal.at)
        else:
            old = held
            lots = old.lots + deal.lots
            price = (old.open_price * old.lots + deal.price * deal.lots) / lots
            position = replace(old, lots=lots, open_price=price)
        self._shard.marks.put(account, position)
        day = self._shard.clock.groups[int(self._shard.columns.group[account.row])].day
        if not account.trading_days or account.trading_days[-1] != day:
            account.trading_days = (*account.trading_days, day)

    def _close(self, account: Account, deal: Deal) -> None:
        held = account.holdings.get(deal.position_id)
        if held is None:
            detail = {
                "seq": deal.seq,
                "position_id": deal.position_id,
                "why": "closes a position we do not hold",
            }
            self._shard.note("equity_drift", f"{account.account_id}/{deal.seq}", deal.at, detail, account.account_id)
            return
        left = held.lots - deal.lots
        if left > 0:
            self._shard.marks.put(account, replace(held, lots=left))
        else:
            self._shard.marks.drop(account, deal.position_id)
