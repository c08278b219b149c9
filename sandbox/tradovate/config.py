"""Settings of the fake Tradovate, and the contracts that it lists."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from sandbox.follower import Following

ADMIN_ID: Final = 1
TEMPLATE_ID: Final = 11
RISK_CATEGORY_ID: Final = 21
USD_ID: Final = 1


class FakeContract(NamedTuple):
    """`point`: value of one point of one contract in dollars. `fee`: commission and exchange fee of one contract."""

    product_id: int
    maturity_id: int
    contract_id: int
    product: str
    name: str
    point: Decimal
    tick: Decimal
    commission: Decimal
    exchange_fee: Decimal


CONTRACTS: Final = (
    FakeContract(101, 201, 301, "ES", "ESZ6", Decimal(50), Decimal("0.25"), Decimal("1.29"), Decimal("1.38")),
    FakeContract(102, 202, 302, "MES", "MESZ6", Decimal(5), Decimal("0.25"), Decimal("0.35"), Decimal("0.37")),
    FakeContract(103, 203, 303, "6E", "6EZ6", Decimal(125000), Decimal("0.00005"), Decimal("1.29"), Decimal("1.60")),
    FakeContract(104, 204, 304, "MGC", "MGCZ6", Decimal(10), Decimal("0.10"), Decimal("0.35"), Decimal("0.60")),
    FakeContract(105, 205, 305, "6B", "6BZ6", Decimal(62500), Decimal("0.0001"), Decimal("1.29"), Decimal("1.60")),
    FakeContract(106, 206, 306, "MNQ", "MNQZ6", Decimal(2), Decimal("0.25"), Decimal("0.35"), Decimal("0.37")),
)
# The contract in which a symbol of the sandbox is traded here.
CONTRACT_OF: Final[Mapping[str, str]] = {"EURUSD": "6EZ6", "GBPUSD": "6BZ6", "XAUUSD": "MGCZ6", "NAS100": "MNQZ6"}


class TradovateConfig(BaseModel):
    """`name`, `password`, `cid`, `sec`: what the API user signs in with. `desk_token`: bearer token of the desk, where
    tests and demos move the market and set faults. `token_seconds`: life of an access token. `heartbeat`: seconds
    between the frames that show an idle socket is alive. `follows`: the sandbox whose prices and market time this venue
    has; hosted traders can trade then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int
    name: str = "propos-admin"
    password: str = "fake-password"
    cid: str = "8"
    sec: str = "fake-secret"
    desk_token: str
    token_seconds: Annotated[float, Field(gt=0)] = 5400.0
    heartbeat: Annotated[float, Field(gt=0)] = 2.5
    follows: Following | None = None
