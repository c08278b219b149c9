"""Settings of a connection to DXtrade."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, StringConstraints

from adapters.dxtrade.wire import CALLS_PER_SECOND
from adapters.platforms.http_stream import GatewaySettings
from ports.platform import Marks

_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]


class DxtradeSettings(GatewaySettings):
    """`url`: of the venue, without a path. `username`, `domain`, `password`: of a manager who may register clients and
    accounts, move their money and trade for them. `broker_code`: whose clients they are. `clearing_code`: of all
    accounts of this connection. `client_domain`: of the clients that are registered. `group_category`: the category
    domain whose values are the groups of the firm's products. `account_type`: of new accounts. `marks`: whether
    positions are marked by the venue's quotes, or accounts are judged by the equity that it states. `calls_per_second`:
    the most calls. `timeout`: seconds until a call without an answer counts as unknown. `settle_seconds`: how long a
    closing order may take to be filled before its outcome counts as unknown."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+$")]
    username: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    domain: _Word = "default"
    password: SecretStr
    broker_code: _Word
    clearing_code: _Word = "default"
    client_domain: _Word = "default"
    group_category: _Word = "ProprietaryTrading"
    account_type: Literal["DEMO", "LIVE"] = "DEMO"
    marks: Marks = "quotes"
    calls_per_second: Annotated[int, Field(gt=0, le=1000)] = CALLS_PER_SECOND
    timeout: Annotated[float, Field(gt=0, le=80)] = 10.0
    settle_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
