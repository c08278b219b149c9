"""What happens to money and positions at the fake Tradovate: cash entries, orders, fills, pairs, fees, limits."""

from datetime import date
from decimal import Decimal
from typing import Final

from domain.clocks import Clock
from sandbox.tradovate.config import CONTRACTS, USD_ID
from sandbox.tradovate.rows import Row, Rows, date_row, stamp

_CONTRACTS: Final = {each.contract_id: each for each in CONTRACTS}
_ZERO: Final = Decimal(0)
_OF_TRADES: Final = ("TradePaired", "Commission", "ExchangeFee")
_DAY: Final = Clock(zone="America/Chicago", reset="17:00")


class Refused(Exception):
    """The venue refuses: the text goes into `errorText` of an answer with status 200."""


class Trading:
    """`quotes`: bid and ask by contract id. Of each account, `peaks` has the highest equity, and `day_peaks` the
    highest balance at the end of a trading day; money in or out moves both."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.quotes: dict[int, tuple[Decimal, Decimal]] = {}
        self.peaks: dict[int, Decimal] = {}
        self.day_peaks: dict[int, Decimal] = {}
        self.day: date | None = None
        self.lowest: dict[int, Decimal] = {}  # equity since the first trade

    def cash(self, account_id: int) -> Row:
        return self.rows.where("cashBalance", "accountId", {account_id})[0]

    def book(self, account_id: int, delta: Decimal, kind: str, **more: object) -> Row:
        """Enters money into an account, and returns the entry of its log."""
        self._begin_day()
        balance, now = self.cash(account_id), self.rows.now()
        amount = balance["amount"] + delta
        if kind not in _OF_TRADES:  # money in or out moves the start of the day and the highest equity
            self.rows.change("cashBalance", balance, amountSOD=balance["amountSOD"] + delta)
            for peaks in (self.peaks, self.day_peaks):
                peaks[account_id] = peaks.get(account_id, _ZERO) + delta
        self.rows.change("cashBalance", balance, amount=amount, timestamp=stamp(now), tradeDate=date_row(now))
        entry = {"accountId": account_id, "timestamp": stamp(now), "tradeDate": date_row(now), "currencyId": USD_ID}
        return self.rows.add(
            "cashBalanceLog", {**entry, "amount": amount, "cashChangeType": kind, "delta": delta, **more}
        )

    def status(self, account_id: int) -> Row:
        found = self.rows.get("accountRiskStatus", account_id)
        assert found is not None
        return found

    def set_action(self, account_id: int, action: str) -> Row:
        """A lock leaves working orders and positions as they are: the real venue does not say that it ends them."""
        status, now = self.status(account_id), stamp(self.rows.now())
        self.rows.change("accountRiskStatus", status, adminAction=action, adminTimestamp=now)
        self.rows.add("accountRiskStatusLog", {"accountId": account_id, "timestamp": now, "adminAction": action})
        if action == "LiquidateImmediately":
            self.liquidate([row["id"] for row in self.open_positions(account_id)])
        return status

    def open_positions(self, account_id: int) -> list[Row]:
        return [row for row in self.rows.where("position", "accountId", {account_id}) if row["netPos"]]

    def liquidate(self, position_ids: list[int]) -> None:
        for id in position_ids:
            position = self.rows.get("position", id)
            if position is None:
                raise Refused(f"Position {id} not found")
            if not position["netPos"]:
                continue
            if position["contractId"] not in self.quotes:
                raise Refused("NoQuote")
            action, quantity = ("Sell", position["netPos"]) if position["netPos"] > 0 else ("Buy", -position["netPos"])
            order = self.place(position["accountId"], position["contractId"], action, quantity, "Market", admin=True)
            self.fill(order)

    def place(
        self,
        account_id: int,
        contract_id: int,
        action: str,
        quantity: int,
        kind: str,
        price: Decimal | None = None,
        *,
        admin: bool = False,
    ) -> Row:
        """Places an order; it is filled by `fill`. Raises Refused when the account is locked, or may only close and
        this order does not."""
        state = self.status(account_id)["adminAction"]
        closing = state == "LiquidateOnlyModeImmediately" and self._closes(account_id, contract_id, action, quantity)
        if not admin and state != "Normal" and not closing:
            raise Refused("TradingLocked")
        status = "Working" if kind != "Market" else "PendingNew"
        order = {"accountId": account_id, "contractId": contract_id, "timestamp": stamp(self.rows.now())}
        made = self.rows.add("order", {**order, "action": action, "ordStatus": status, "admin": admin})
        version = {"orderId": made["id"], "orderQty": quantity, "orderType": kind}
        if price is not None:
            version["stopPrice" if kind == "Stop" else "price"] = price
        self.rows.add("orderVersion", version)
        return made

    def _closes(self, account_id: int, contract_id: int, action: str, quantity: int) -> bool:
        sold = quantity if action == "Sell" else -quantity
        held: int = sum(row["netPos"] for row in self.open_positions(account_id) if row["contractId"] == contract_id)
        return 0 < sold <= held or held <= sold < 0

    def fill(self, order: Row, price: Decimal | None = None, quantity: int | None = None) -> Row:
        """Fills an order at the quote, or at `price`, and books fees and closed pairs."""
        version = self.rows.where("orderVersion", "orderId", {order["id"]})[-1]
        filled = sum(row["qty"] for row in self.rows.where("fill", "orderId", {order["id"]}))
        size = version["orderQty"] - filled if quantity is None else quantity
        bid, ask = self.quotes.get(order["contractId"], (price, price))
        at = price if price is not None else ask if order["action"] == "Buy" else bid
        assert at is not None and size > 0
        now = self.rows.now()
        values = {"orderId": order["id"], "contractId": order["contractId"], "timestamp": stamp(now)}
        values |= {"tradeDate": date_row(now), "action": order["action"], "qty": size, "price": at}
        fill = self.rows.add("fill", {**values, "active": True, "finallyPaired": 0})
        if filled + size == version["orderQty"]:
            self.rows.change("order", order, ordStatus="Filled")
        contract = _CONTRACTS[order["contractId"]]
        commission, exchange = contract.commission * size, contract.exchange_fee * size
        fee = {"commission": commission, "commissionCurrencyId": USD_ID}
        fee |= {"exchangeFee": exchange, "exchangeCurrencyId": USD_ID}
        self.rows.add("fillFee", fee, fill["id"])
        self._pair(order["accountId"], fill)
        self.book(order["accountId"], -commission, "Commission", fillId=fill["id"])
        self.book(order["accountId"], -exchange, "ExchangeFee", fillId=fill["id"])
        self._note_worth(order["accountId"])
        return fill

    def _pair(self, account_id: int, fill: Row) -> None:
        """Pairs a fill with the oldest open fills of the other side."""
        position = self._position(account_id, fill["contractId"])
        left = fill["qty"]
        for earlier in self._open_fills(account_id, fill["contractId"], "Sell" if fill["action"] == "Buy" else "Buy"):
            size = min(left, earlier["qty"] - earlier["finallyPaired"])
            if not size:
                break
            left -= size
            earlier["finallyPaired"] += size
            fill["finallyPaired"] += size
            self.rows.note("fill", earlier)  # fills are told once; the pairs say the rest
            self.rows.note("fill", fill)
            buy, sell = (fill, earlier) if fill["action"] == "Buy" else (earlier, fill)
            values = {"positionId": position["id"], "buyFillId": buy["id"], "sellFillId": sell["id"], "qty": size}
            values |= {"buyPrice": buy["price"], "sellPrice": sell["price"], "active": True}
            pair = self.rows.add("fillPair", values)
            profit = (sell["price"] - buy["price"]) * size * _CONTRACTS[fill["contractId"]].point
            self.book(account_id, profit, "TradePaired", fillPairId=pair["id"])
        signed = fill["qty"] if fill["action"] == "Buy" else -fill["qty"]
        opened = [
            (row["qty"] - row["finallyPaired"], row["price"])
            for action in ("Buy", "Sell")
            for row in self._open_fills(account_id, fill["contractId"], action)
        ]
        net = position["netPos"] + signed
        price = sum((size * at for size, at in opened), _ZERO) / abs(net) if net else _ZERO
        self.rows.change("position", position, netPos=net, netPrice=price, timestamp=fill["timestamp"])

    def _open_fills(self, account_id: int, contract_id: int, action: str) -> list[Row]:
        orders = {row["id"] for row in self.rows.where("order", "accountId", {account_id})}
        return [
            row
            for row in self.rows.where("fill", "orderId", orders)
            if row["contractId"] == contract_id
            and row["action"] == action
            and row["active"]
            and row["finallyPaired"] < row["qty"]
        ]

    def _position(self, account_id: int, contract_id: int) -> Row:
        for row in self.rows.where("position", "accountId", {account_id}):
            if row["contractId"] == contract_id:
                return row
        now = self.rows.now()
        values = {"accountId": account_id, "contractId": contract_id, "timestamp": stamp(now)}
        values |= {"tradeDate": date_row(now), "netPos": 0, "netPrice": _ZERO, "bought": 0, "boughtValue": _ZERO}
        return self.rows.add("position", {**values, "sold": 0, "soldValue": _ZERO, "prevPos": 0})

    def open_profit(self, account_id: int) -> Decimal:
        """Long positions are worth their bid, short ones their ask."""
        total = _ZERO
        for position in self.open_positions(account_id):
            bid, ask = self.quotes[position["contractId"]]
            mark = bid if position["netPos"] > 0 else ask
            point = _CONTRACTS[position["contractId"]].point
            total += (mark - position["netPrice"]) * position["netPos"] * point
        return total

    def quote(self, contract_id: int, bid: Decimal, ask: Decimal) -> None:
        """A new price. Accounts that reach a limit of their own are liquidated and locked."""
        self._begin_day()
        self.quotes[contract_id] = (bid, ask)
        for position in self.rows.all("position"):
            if position["contractId"] == contract_id and position["netPos"]:
                self._note_worth(position["accountId"])
                self._enforce(position["accountId"])

    def worth(self, account_id: int) -> Decimal:
        """The equity at the quotes of now. Raises KeyError without them."""
        amount: Decimal = self.cash(account_id)["amount"]
        return amount + self.open_profit(account_id)

    def _note_worth(self, account_id: int) -> None:
        if all(row["contractId"] in self.quotes for row in self.open_positions(account_id)):
            worth = self.worth(account_id)
            self.lowest[account_id] = min(self.lowest.get(account_id, worth), worth)

    def _begin_day(self) -> None:
        """At the first call after the end of a trading day: daily losses are measured from the balance of now."""
        day, before = _DAY.trading_day(self.rows.now()), self.day
        self.day = day
        if before in (None, day):
            return
        for cash in self.rows.all("cashBalance"):
            id, amount = cash["accountId"], cash["amount"]
            self.day_peaks[id] = max(self.day_peaks.get(id, amount), amount)
            self.rows.change("cashBalance", cash, amountSOD=amount)

    def _enforce(self, account_id: int) -> None:
        """The limits of a locked account are not looked at again."""
        limits = self.rows.get("userAccountAutoLiq", account_id)
        unquoted = any(row["contractId"] not in self.quotes for row in self.open_positions(account_id))
        status = self.status(account_id)
        if limits is None or unquoted or status["adminAction"] != "Normal":
            return
        equity = self.worth(account_id)
        self.peaks[account_id] = max(self.peaks.get(account_id, equity), equity)
        floors = [status.get("minNetLiq")]
        if limits.get("trailingMaxDrawdown") is not None:
            peaks = self.day_peaks if limits.get("trailingMaxDrawdownMode") == "EOD" else self.peaks
            floor = peaks.get(account_id, equity) - limits["trailingMaxDrawdown"]
            stop = limits.get("trailingMaxDrawdownLimit")
            floors.append(floor if stop is None else min(floor, stop))
        if limits.get("dailyLossAutoLiq") is not None:
            floors.append(self.cash(account_id)["amountSOD"] - limits["dailyLossAutoLiq"])
        if any(floor is not None and equity <= floor for floor in floors):
            self.set_action(account_id, "AgreedOnLiquidationByAutoLiq")
            self.liquidate([row["id"] for row in self.open_positions(account_id)])
