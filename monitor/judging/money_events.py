"""Deals and balance operations, which change closed money and positions, and the start of an account's life."""

from dataclasses import replace
from typing import TypeVar

from domain import keys
from domain.errors import RateMissing
from domain.proofs.money import Movement
from domain.rules.base import Violation
from domain.rules.floors import Mark
from domain.rules.marking import Position
from domain.rules.state import AccountRules, on_payout_hold, on_payout_release, on_payout_settled
from monitor.columns.roster import AccountRow
from monitor.facts import ReviewKind
from monitor.judging import reinstated
from monitor.judging.conduct import Conduct
from monitor.judging.evidence import Trigger
from monitor.judging.judge import Judge
from monitor.judging.offences import has_initial_balance
from monitor.state import ShardState
from ports.platform import AccountChanged, AccountState, BalanceOperation, Deal, PendingOrder, StopsChanged

E = TypeVar("E", Deal, BalanceOperation, PendingOrder, StopsChanged)


def recorded(account: AccountRow, event: E) -> E:
    """Returns the event as the record keeps it."""
    return event if account.place is None else event.model_copy(update={"seq": account.recorded_seq(event.seq)})


class MoneyEvents:
    """Applies an event to the account, then has it judged."""

    def __init__(self, state: ShardState, judge: Judge, conduct: Conduct) -> None:
        self._state, self._judge, self._conduct = state, judge, conduct

    def deal(self, account: AccountRow, deal: Deal) -> None:
        """Applies a fill, then judges the account."""
        state = self._state
        state.facts.deals.append((account.account_id, recorded(account, deal)))
        change = deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor
        movement = Movement(seq=deal.seq, at=deal.at, kind="deal", reference=deal.deal_id, amount_minor=change)
        self._book(account, deal, movement)
        account.costs = replace(
            account.costs,
            commission_minor=account.costs.commission_minor + deal.commission_minor,
            swap_minor=account.costs.swap_minor + deal.swap_minor,
            fee_minor=account.costs.fee_minor + deal.fee_minor,
        )
        before = account.positions_by_id().get(deal.position_id) if account.conduct else None
        known = state.knows_symbol(deal.symbol, deal.at)
        if not known:
            state.revalue(account)  # its position cannot be marked, but the change of balance is certain
        elif deal.entry == "in":
            self._open(account, deal)
        else:
            self._close(account, deal)
        violations = self._conduct.deal(account, deal, before)
        trigger = Trigger("deal", deal.seq, deal.at, deal.symbol)
        # A pass needs a flat account. Whether it is flat is not known when it traded a symbol that we cannot hold.
        self._judge_money(account, trigger, violations, target=known)

    def operation(self, account: AccountRow, operation: BalanceOperation) -> None:
        """Applies money that came or went without a trade, and its effect on the rules; then judges."""
        state = self._state
        state.facts.operations.append((account.account_id, recorded(account, operation)))
        before = account.balance_minor
        size = abs(operation.amount_minor)
        change = -size if operation.operation == "payout_hold" else operation.amount_minor
        movement = Movement(
            seq=operation.seq, at=operation.at, kind="balance", reference=operation.key, amount_minor=change
        )
        self._book(account, operation, movement)
        state.revalue(account)
        if before == 0 and operation.operation == "deposit":
            state.bars.restart(account.row)
        conduct = account.conduct
        if conduct is not None and conduct.resetting and operation.key == keys.reset_balance(conduct.resetting):
            conduct.resetting = None
        rules, effect = account.rules, None
        if operation.operation == "payout_hold":
            effect = on_payout_hold(rules, size)
        elif operation.operation == "payout_release":
            effect = on_payout_release(rules, size)
        elif operation.operation == "payout_settled":
            effect = on_payout_settled(rules)
        violations = self._conduct.operation(account, operation)
        self._judge_money(account, Trigger("balance", operation.seq, operation.at), violations, moved=effect)

    def begin(self, account: AccountRow, event: AccountChanged, offences: dict[str, int]) -> None:
        """An account may trade and is judged from here on. With earlier breaches it returns from a reinstatement."""
        rules = account.rules
        account.offences = offences
        if account.ended or offences:
            try:
                equity = self._state.exact_equity(account)
            except RateMissing:
                equity = account.balance_minor
            now = Mark(account.balance_minor, equity, event.seq, event.at, account.costs)
            rules, fresh = reinstated.rules_of(self._state, account, now)
            if account.conduct is not None:
                account.conduct.come_back(fresh=fresh)
        account.ended, account.judged = False, True
        self._conduct.begin(account, event.seq, event.at)
        self._judge.account(account, Trigger("account", event.seq, event.at), moved=rules, target=True)

    def state_balance(self, account: AccountRow, state: AccountState) -> None:
        """Takes the balance that the venue states. One that its fills do not explain opens a review."""
        if state.balance_minor != account.balance_minor:
            movement = Movement(seq=state.seq, at=state.at, kind="balance", reference="venue state", amount_minor=0)
            self._book(account, state, movement)

    def _judge_money(
        self,
        account: AccountRow,
        trigger: Trigger,
        violations: tuple[Violation, ...],
        *,
        moved: AccountRules | None = None,
        target: bool = True,
    ) -> None:
        account.mark_changed()
        if account.conduct is not None and has_initial_balance(account):
            account.conduct.resetting = None
        self._state.bars.touch_row(account.row)
        if account.judged:
            self._judge.money(account, trigger, violations, moved=moved, target=target)
        elif moved is not None:
            account.rules = moved

    def _book(self, account: AccountRow, event: Deal | BalanceOperation | AccountState, movement: Movement) -> None:
        """Takes the venue's balance. A difference to ours opens a review."""
        before = account.balance_minor
        expected, actual = before + movement.amount_minor, event.balance_minor
        if expected != actual:
            detail = {"seq": event.seq, "ours_minor": expected, "venue_minor": actual}
            key = f"{account.account_id}/{event.seq}"
            self._state.review(ReviewKind.EQUITY_DRIFT, key, event.at, detail, account)
        account.balance_minor = actual
        account.add_movement(movement.model_copy(update={"amount_minor": actual - before}))

    def _open(self, account: AccountRow, deal: Deal) -> None:
        held = account.positions_by_id().get(deal.position_id)
        if held is None:
            position = Position(deal.position_id, deal.symbol, deal.side, deal.lots, deal.price, deal.at)
        else:
            lots = held.lots + deal.lots
            price = (held.open_price * held.lots + deal.price * deal.lots) / lots
            position = replace(held, lots=lots, open_price=price)
        self._state.marks.put(account, position)
        self._state.marks.set_exits(account, deal.position_id, deal.stop_loss, deal.take_profit)
        day = self._state.trading_day(account)
        if held is not None:
            return  # only a new position makes a trading day
        if not account.trading_days or account.trading_days[-1] != day:
            account.trading_days = (*account.trading_days, day)

    def _close(self, account: AccountRow, deal: Deal) -> None:
        held = account.positions_by_id().get(deal.position_id)
        if held is None:
            detail = {
                "seq": deal.seq,
                "position_id": deal.position_id,
                "why": "closes a position we do not hold",
            }
            key = f"{account.account_id}/{deal.seq}"
            self._state.review(ReviewKind.EQUITY_DRIFT, key, deal.at, detail, account)
            return
        left = held.lots - deal.lots
        if left > 0:
            self._state.marks.put(account, replace(held, lots=left))
            self._state.marks.set_exits(account, deal.position_id, deal.stop_loss, deal.take_profit)
        else:
            self._state.marks.drop(account, deal.position_id)
