"""The calls of the fake Tradovate: what each takes, what it does and what it answers.

The bodies' fields are those of the published description (see docs/tradovate.md); an unknown or missing field is
refused with 400, so that a mistake of the adapter shows.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sandbox.tradovate.config import TEMPLATE_ID, USD_ID
from sandbox.tradovate.rows import Row, Rows, account_row, date_row, stamp
from sandbox.tradovate.trading import Refused, Trading

_MOST_CASH: Final = 100_000  # adjustcash takes less than this at once
_COMMENT: Final = 64
_LIMITS: Final = (
    *("changesLocked", "dailyLossAutoLiq", "weeklyLossAutoLiq", "flattenTimestamp", "trailingMaxDrawdown"),
    *(
        "trailingMaxDrawdownLimit",
        "trailingMaxDrawdownMode",
        "dailyProfitAutoLiq",
        "weeklyProfitAutoLiq",
        "doNotUnlock",
    ),
)


class Fields(NamedTuple):
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


BODIES: Final[Mapping[str, Fields]] = {
    "auth/accesstokenrequest": Fields(("name", "password"), ("appId", "appVersion", "deviceId", "cid", "sec")),
    "user/createevaluationusers": Fields(("users",)),
    "user/createevaluationaccounts": Fields(("accounts",)),
    "user/createtradingpermission": Fields(("accountId", "userId")),
    "user/getaccounttradingpermissions": Fields(("accountId",)),
    "accountRiskStatus/setadminautoliqaction": Fields(
        ("accountId", "adminAction", "adminActionReasonCode"), ("adminActionReason",)
    ),
    "accountRiskStatus/switchriskcategory": Fields(("accountIds", "riskCategoryId")),
    "order/liquidatepositions": Fields(("positions", "admin"), ("customTag50", "isAutomated")),
    "order/cancelorder": Fields(("orderId",), ("clOrdId", "activationTime", "customTag50", "isAutomated")),
    "cashBalance/getcashbalancesnapshot": Fields(("accountId",)),
    "fundTransaction/adjustcash": Fields(
        ("accountId", "cashChange", "cashChangeType", "currencyId"), ("comment", "senderId")
    ),
    "userAccountAutoLiq/updateuserautoliq": Fields(("accountId",), _LIMITS),
}
# The field by which deps and ldeps find the dependents of a master.
MASTERS: Final[Mapping[str, str]] = {
    "order": "accountId",
    "position": "accountId",
    "cashBalance": "accountId",
    "cashBalanceLog": "accountId",
    "accountRiskStatus": "id",
    "accountRiskStatusLog": "accountId",
    "userAccountAutoLiq": "id",
    "fill": "orderId",
    "orderVersion": "orderId",
    "fillFee": "id",
    "fillPair": "positionId",
}
LISTED: Final = (*MASTERS, "account", "user", "contract", "contractMaturity", "product", "currency", "riskCategory")
REASONS: Final = ("RestrictedRiskRestriction", "RestrictedComplianceRequest", "CloseCustomerRequest", "Other")
ACTIONS: Final = (
    *("AgreedOnLiqOnlyModeByAutoLiq", "AgreedOnLiquidationByAutoLiq", "DisableAutoLiq", "LiquidateImmediately"),
    *("LiquidateOnlyModeImmediately", "LockTradingImmediately", "Normal", "PlaceAutoLiqOnHold"),
)


class Failed(Exception):
    """An answer with another status than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Calls:
    """`effects`: how often each changing call had an effect. `ignore_liquidations`: see `Faults`."""

    def __init__(self, rows: Rows, trading: Trading) -> None:
        self.rows, self.trading = rows, trading
        self.effects: Counter[str] = Counter()
        self.passwords: dict[str, str] = {}  # of the users that were created, by name
        self._posts: dict[str, Callable[[Row], Any]] = {
            "user/createevaluationusers": self._create_users,
            "user/createevaluationaccounts": self._create_accounts,
            "user/createtradingpermission": self._grant,
            "user/getaccounttradingpermissions": self._permissions,
            "accountRiskStatus/setadminautoliqaction": self._set_action,
            "accountRiskStatus/switchriskcategory": self._switch_category,
            "order/liquidatepositions": self._liquidate,
            "order/cancelorder": self._cancel,
            "cashBalance/getcashbalancesnapshot": self._snapshot,
            "fundTransaction/adjustcash": self._adjust_cash,
            "userAccountAutoLiq/updateuserautoliq": self._update_limits,
        }

    def post(self, path: str, body: object) -> Any:
        """Raises Failed for a body that the call does not take."""
        if path not in self._posts:
            raise Failed(404, "Not found")
        fields = BODIES[path]
        if not isinstance(body, dict):
            raise Failed(400, "A JSON object is expected")
        missing = [name for name in fields.required if name not in body]
        unknown = [name for name in body if name not in (*fields.required, *fields.optional, "p-ticket")]
        if missing or unknown:
            raise Failed(400, f"missing {missing}, unknown {unknown}")
        try:
            with self.rows.one_call():
                return self._posts[path](body)
        except Refused as refused:
            return {"errorText": str(refused), "ok": False}

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        kind, _, operation = path.partition("/")
        if kind not in LISTED:
            raise Failed(404, "Not found")
        if operation == "list":
            return self.rows.all(kind)
        if operation == "find":
            found = self.rows.find(kind, query["name"])
        elif operation == "item":
            found = self.rows.get(kind, int(query["id"]))
        elif operation == "items":
            return [row for id in _ids(query["ids"]) if (row := self.rows.get(kind, id)) is not None]
        elif operation in ("deps", "ldeps") and kind in MASTERS:
            masters = set(_ids(query["masterid" if operation == "deps" else "masterids"]))
            return self.rows.where(kind, MASTERS[kind], masters)
        else:
            raise Failed(404, "Not found")
        if found is None:
            raise Failed(404, "Not found")
        return found

    def _account(self, body: Row) -> Row:
        found = self.rows.get("account", int(body["accountId"]))
        if found is None:
            raise Failed(404, "Account not found")
        return found

    def _create_users(self, body: Row) -> Any:
        results = []
        for user in body["users"]:
            if self.rows.find("user", user["name"]) is not None:
                results.append({"errorText": "User with this name already exists"})
                continue
            if len(user["firstName"]) + len(user["lastName"]) > 60:
                results.append({"errorText": "Name is too long"})
                continue
            values = {"name": user["name"], "email": user["email"], "status": "Active", "professional": False}
            if any(row["email"] == user["email"] for row in self.rows.all("user") if "email" in row):
                results.append({"errorText": "User with this email already exists"})
                continue
            made = self.rows.add("user", {**values, "timestamp": stamp(self.rows.now())})
            self.passwords[user["name"]] = user["password"]
            self.effects["user/createevaluationusers"] += 1
            results.append({"userId": made["id"]})
        return {"results": results}

    def _create_accounts(self, body: Row) -> Any:
        return {"results": [self._create_account(each) for each in body["accounts"]]}

    def _create_account(self, body: Row) -> Row:
        template = self.rows.get("account", body["templateAccountId"])
        letters = body["name"].rstrip("0123456789")
        if not (letters.isascii() and letters.isupper() and letters.isalpha() and letters != body["name"]):
            return {"errorText": "Invalid account name"}
        if len(body["name"]) > _COMMENT or template is None or self.rows.get("user", body["userId"]) is None:
            return {"errorText": "Invalid request"}
        if self.rows.find("account", body["name"]) is not None:
            return {"errorText": "Account with this name already exists"}
        now = self.rows.now()
        row = account_row(body["name"], body["userId"], template["riskCategoryId"], stamp(now))
        made = self.rows.add("account", row)
        id, amount = made["id"], Decimal(str(body["initialBalance"]))
        self.rows.add("accountRiskStatus", {"adminAction": "Normal"}, id)
        self.rows.add("userAccountAutoLiq", dict(body.get("postTradeRisk", {})), id)
        cash = {"accountId": id, "timestamp": stamp(now), "tradeDate": date_row(now), "currencyId": USD_ID}
        self.rows.add("cashBalance", {**cash, "amount": Decimal(0), "realizedPnL": Decimal(0), "amountSOD": Decimal(0)})
        if amount:
            self.trading.book(id, amount, "NewSession")
        permission = self.rows.add(
            "tradingPermission", {"accountId": id, "userId": body["userId"], "status": "Accepted"}
        )
        self.effects["user/createevaluationaccounts"] += 1
        return {"accountId": id, "tradingPermissionId": permission["id"]}

    def _grant(self, body: Row) -> Any:
        self._account(body)
        for row in self.rows.where("tradingPermission", "accountId", {body["accountId"]}):
            if row["userId"] == body["userId"] and row["status"] == "Accepted":
                raise Refused("Permission already exists")
        made = {"accountId": body["accountId"], "userId": body["userId"], "status": "Accepted"}
        self.effects["user/createtradingpermission"] += 1
        return {"tradingPermission": self.rows.add("tradingPermission", made)}

    def _permissions(self, body: Row) -> Any:
        return {"tradingPermissions": self.rows.where("tradingPermission", "accountId", {self._account(body)["id"]})}

    def _set_action(self, body: Row) -> Any:
        account = self._account(body)
        if body["adminAction"] not in ACTIONS or body["adminActionReasonCode"] not in REASONS:
            raise Failed(400, "Unknown action or reason")
        if body["adminActionReasonCode"] == "Other" and not body.get("adminActionReason"):
            raise Refused("Reason should be specified")
        self.effects[f"accountRiskStatus/setadminautoliqaction/{body['adminAction']}"] += 1
        return {"accountRiskStatus": self.trading.set_action(account["id"], body["adminAction"])}

    def _switch_category(self, body: Row) -> Any:
        for id in body["accountIds"]:
            account = self._account({"accountId": id})
            self.rows.change("account", account, riskCategoryId=body["riskCategoryId"])
        return {"ok": True}

    def _liquidate(self, body: Row) -> Any:
        self.trading.liquidate(body["positions"])
        self.effects["order/liquidatepositions"] += 1
        return {"ok": True}

    def _cancel(self, body: Row) -> Any:
        order = self.rows.get("order", body["orderId"])
        if order is None:
            raise Failed(404, "Not found")
        if order["ordStatus"] != "Working":
            return {"failureReason": "TooLate", "failureText": "The order is not working"}
        self.rows.change("order", order, ordStatus="Canceled")
        self.effects["order/cancelorder"] += 1
        return {"commandId": order["id"]}

    def _snapshot(self, body: Row) -> Any:
        id = self._account(body)["id"]
        if id == TEMPLATE_ID:
            raise Refused("No cash balance")
        cash = self.trading.cash(id)
        try:
            profit = self.trading.open_profit(id)
        except KeyError:
            raise Refused("No market data") from None
        amount = cash["amount"]
        values = {"totalCashValue": amount, "openPnL": profit, "netLiq": amount + profit}
        return {**values, "totalCashValueSOD": cash["amountSOD"], "netLiqSOD": cash["amountSOD"]}

    def _adjust_cash(self, body: Row) -> Any:
        id, change = self._account(body)["id"], Decimal(str(body["cashChange"]))
        if not -_MOST_CASH < change < _MOST_CASH:
            raise Refused("Amount is out of range")
        if len(body.get("comment", "")) > _COMMENT:
            raise Failed(400, "The comment is too long")
        comment = {"comment": body["comment"]} if body.get("comment") else {}
        self.trading.book(id, change, body["cashChangeType"], **comment)
        self.effects["fundTransaction/adjustcash"] += 1
        return self._snapshot({"accountId": id})

    def _update_limits(self, body: Row) -> Any:
        limits = self.rows.get("userAccountAutoLiq", self._account(body)["id"])
        assert limits is not None
        numbers = {
            name: Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value
            for name, value in body.items()
            if name not in ("accountId", "p-ticket")
        }
        self.rows.change("userAccountAutoLiq", limits, **numbers)
        self.effects["userAccountAutoLiq/updateuserautoliq"] += 1
        return {"userAccountAutoLiq": limits}


def _ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]
