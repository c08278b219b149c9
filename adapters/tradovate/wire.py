"""What Tradovate's API takes and sends, as far as we use it.

Read: from the vendor's published description (OpenAPI 3.1 of its Partner API) and its pages. `unverified`: not said
there. docs/tradovate.md lists both.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, model_validator

from domain.money import from_minor, is_known, to_minor

# calls that change something
CREATE_USERS: Final = "user/createevaluationusers"
CREATE_ACCOUNTS: Final = "user/createevaluationaccounts"
GRANT: Final = "user/createtradingpermission"
SET_ACTION: Final = "accountRiskStatus/setadminautoliqaction"
LIQUIDATE: Final = "order/liquidatepositions"
CANCEL: Final = "order/cancelorder"
ADJUST_CASH: Final = "fundTransaction/adjustcash"
UPDATE_LIMITS: Final = "userAccountAutoLiq/updateuserautoliq"
# questions that are asked by POST
CASH_SNAPSHOT: Final = "cashBalance/getcashbalancesnapshot"
PERMISSIONS: Final = "user/getaccounttradingpermissions"
ENDED_PERMISSIONS: Final = frozenset({"Declined", "Revoked"})
# without a token
SIGN_IN: Final = "auth/accesstokenrequest"

NORMAL: Final = "Normal"
LOCK: Final = "LockTradingImmediately"
LIQUIDATE_ONLY: Final = "LiquidateOnlyModeImmediately"  # unverified: that it leaves open positions as they are
ACTIONS: Final = frozenset(
    {
        *("AgreedOnLiqOnlyModeByAutoLiq", "AgreedOnLiquidationByAutoLiq", "DisableAutoLiq", "LiquidateImmediately"),
        *(LIQUIDATE_ONLY, LOCK, NORMAL, "PlaceAutoLiqOnHold"),
    }
)
# In these states the venue takes new orders. unverified: of the last two that nothing else forbids them.
TRADING_ACTIONS: Final = frozenset({NORMAL, "DisableAutoLiq", "PlaceAutoLiqOnHold"})
# The venue locked the account by a limit of its own.
BY_LIMIT: Final = frozenset({"AgreedOnLiqOnlyModeByAutoLiq", "AgreedOnLiquidationByAutoLiq"})
REASON_CODE: Final = "RestrictedRiskRestriction"
UNLOCK_CODE: Final = "Other"
CASH_CHANGE: Final = "ManualAdjustment"  # read: a member of the enumeration. unverified: that it is the best one
COMMENT: Final = 64  # characters of the comment of a cash change
CASH_LIMIT: Final = Decimal("99999.99")  # a cash change must be below 100,000 either way
MOST_ACCOUNTS: Final = 100  # in one call that creates some
USER_NAMES: Final = 60  # characters of first and last name together

_NOISE: Final = Decimal("0.000001")


def loads(body: bytes | str) -> Any:
    """Reads JSON with exact numbers. Raises ValueError."""
    return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def minor(amount: Decimal, currency: str) -> int:
    """Returns an amount of the venue in minor units. The venue computes in binary fractions, so a difference below a
    millionth is noise. Raises ValueError for any other amount that does not fit."""
    if not is_known(currency):
        raise ValueError(f"the currency {currency[:10]!r} is not known")
    if not amount.is_finite() or abs(amount) >= 10**15:
        raise ValueError("an amount is out of range")
    units = to_minor(amount, currency)
    if abs(from_minor(units, currency) - amount) >= _NOISE:
        raise ValueError(f"an amount has more digits than {currency}")
    return units


def number(minor_units: int, currency: str) -> float:
    """Returns minor units as the JSON number of major units: below a thousand billion a double holds every cent."""
    return float(from_minor(minor_units, currency))


def _exact(value: object) -> object:
    """Numbers come as int or Decimal. A text or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is not a number")
    return value


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is not a time")
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a time") from None
    if read.tzinfo is None:
        raise ValueError("is a time without a zone")
    return read.astimezone(UTC)


Number = Annotated[Decimal, BeforeValidator(_exact)]
Count = Annotated[int, BeforeValidator(_exact)]
Id = Annotated[int, BeforeValidator(_exact)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
OrderStatus = Literal[
    "Canceled",
    "Completed",
    "Expired",
    "Filled",
    "PendingCancel",
    "PendingNew",
    "PendingReplace",
    "Rejected",
    "Suspended",
    "Unknown",
    "Working",
]

OPEN_ORDERS: Final = frozenset({"Working", "PendingNew", "PendingReplace", "PendingCancel", "Suspended"})


class Row(BaseModel):
    """Unknown fields are ignored: the venue adds some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ReplayClock(Row):
    """The clock of a replayed market: its time, and its speed in percent. Its object comes as a text."""

    t: Instant
    s: Count

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        try:
            return loads(value) if isinstance(value, str) else value
        except RecursionError:
            raise ValueError("is nested too deeply") from None


class Account(Row):
    id: Id
    name: str
    riskCategoryId: Id
    timestamp: Instant


class RiskStatus(Row):
    """`id`: the account's. unverified: that it is also the account's in a pushed status."""

    id: Id
    adminAction: str = NORMAL  # unverified: that none means normal
    adminTimestamp: Instant | None = None


class CashBalance(Row):
    accountId: Id
    currencyId: Id
    amount: Number
    timestamp: Instant


class CashEntry(Row):
    """An entry of the log of an account's cash. `delta`: the change. `amount`: the balance after it."""

    id: Id
    accountId: Id
    timestamp: Instant
    amount: Number
    delta: Number
    cashChangeType: str
    fillId: Id | None = None
    fillPairId: Id | None = None
    comment: str = ""


class CashSnapshot(Row):
    totalCashValue: Number
    netLiq: Number


class Position(Row):
    id: Id
    accountId: Id
    contractId: Id
    timestamp: Instant
    netPos: Count
    netPrice: Number = Decimal(0)


class Order(Row):
    id: Id
    accountId: Id
    contractId: Id | None = None
    timestamp: Instant
    action: Literal["Buy", "Sell"]
    ordStatus: OrderStatus
    admin: bool = False


class OrderVersion(Row):
    id: Id
    orderId: Id
    orderQty: Count
    orderType: str
    price: Number | None = None
    stopPrice: Number | None = None


class Fill(Row):
    id: Id
    orderId: Id
    contractId: Id
    timestamp: Instant
    action: Literal["Buy", "Sell"]
    qty: Count
    price: Number
    active: bool = True


class FillFee(Row):
    """`id`: of the fill. unverified, but the description has no other link between the two."""

    id: Id
    commission: Number = Decimal(0)
    clearingFee: Number = Decimal(0)
    exchangeFee: Number = Decimal(0)
    nfaFee: Number = Decimal(0)
    brokerageFee: Number = Decimal(0)
    ipFee: Number = Decimal(0)
    orderRoutingFee: Number = Decimal(0)

    @property
    def fees(self) -> Decimal:
        """Everything but the commission."""
        parts = (self.clearingFee, self.exchangeFee, self.nfaFee, self.brokerageFee, self.ipFee, self.orderRoutingFee)
        return sum(parts, Decimal(0))


class Contract(Row):
    id: Id
    name: str
    contractMaturityId: Id


class Maturity(Row):
    id: Id
    productId: Id


class Product(Row):
    """`valuePerPoint`: of one contract, in the product's currency."""

    id: Id
    currencyId: Id
    valuePerPoint: Number
    tickSize: Number


class CurrencyRow(Row):
    id: Id
    name: str


class Limits(Row):
    """Post-trade limits of an account."""

    id: Id
    dailyLossAutoLiq: Number | None = None
    trailingMaxDrawdown: Number | None = None
    trailingMaxDrawdownLimit: Number | None = None
    trailingMaxDrawdownMode: str | None = None
    doNotUnlock: bool = False


class Permission(Row):
    id: Id
    userId: Id
    accountId: Id
    status: str = ""


class Created(Row):
    """The answer for one user or account of a batch."""

    errorText: str = ""
    accountId: Id | None = None
    userId: Id | None = None


class Token(Row):
    accessToken: str
    expirationTime: Instant


def digits_of(tick: Decimal) -> int:
    """Decimal digits of prices that are multiples of a tick. Raises ValueError for a tick that is none."""
    try:
        exponent = tick.normalize().as_tuple().exponent
    except InvalidOperation:
        raise ValueError("a tick is not a number") from None
    if not isinstance(exponent, int) or tick <= 0:
        raise ValueError("a tick is not a number")
    return max(0, -exponent)
