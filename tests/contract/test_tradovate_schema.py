"""What the adapter and the fake take for Tradovate's wire is what the vendor's description says.

The description may not be part of the project: the comparison with the whole of it runs where its file is at hand.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from adapters.tradovate import wire
from sandbox.tradovate.calls import ACTIONS, BODIES, MASTERS, REASONS

_VARIABLE: Final = "PROPOS_TRADOVATE_OPENAPI"
_SHAPES: Final[dict[str, type[wire.Row]]] = {
    "Account": wire.Account,
    "AccountRiskStatus": wire.RiskStatus,
    "CashBalance": wire.CashBalance,
    "CashBalanceLog": wire.CashEntry,
    "CashBalanceSnapshot": wire.CashSnapshot,
    "Position": wire.Position,
    "Order": wire.Order,
    "OrderVersion": wire.OrderVersion,
    "Fill": wire.Fill,
    "FillFee": wire.FillFee,
    "Contract": wire.Contract,
    "ContractMaturity": wire.Maturity,
    "Product": wire.Product,
    "Currency": wire.CurrencyRow,
    "UserAccountAutoLiq": wire.Limits,
    "TradingPermission": wire.Permission,
    "AccessTokenResponse": wire.Token,
}
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "SetAdminAutoLiqActionAdminAction": (*ACTIONS, *wire.ACTIONS),
    "SetAdminAutoLiqActionAdminActionReasonCode": (*REASONS, wire.REASON_CODE, wire.UNLOCK_CODE),
    "AdjustCashCashChangeType": (wire.CASH_CHANGE,),
    "OrderOrdStatus": get_args(wire.OrderStatus),
    "UserAccountAutoLiqTrailingMaxDrawdownMode": ("EOD", "RealTime"),
}
_ITEMS: Final = {
    "EvaluationAccount": ("userId", "templateAccountId", "name", "initialBalance"),
    "EvaluationUser": ("name", "email", "password", "firstName", "lastName"),
    "SyncRequest": ("splitResponses", "entityTypes", "shardingExpression"),
    "ShardingExpression": ("expressionType", "divisor", "remainder"),
}
_QUESTIONS: Final = (
    *("account/find", "account/item", "account/list", "order/list", "orderVersion/list", "position/list", "fill/list"),
    *("fillFee/list", "cashBalance/list", "accountRiskStatus/list", "contract/find", "contract/items", "user/find"),
    *("contractMaturity/items", "product/items", "currency/list", "auth/renewaccesstoken"),
)


def differences(spec: dict[str, Any]) -> Iterator[str]:
    """Says in words what the adapter uses and the description does not have."""
    schemas = spec["components"]["schemas"]
    for path, fields in BODIES.items():
        body = spec["paths"].get(f"/{path}", {}).get("post", {}).get("requestBody")
        if body is None:
            yield f"no call {path}"
            continue
        schema = schemas[body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        if set(fields.required) != set(schema.get("required", ())) and not path.startswith("auth/"):
            yield f"{path} requires {sorted(schema.get('required', ()))}"
        yield from (
            f"{path} has no {name}" for name in (*fields.required, *fields.optional) if name not in schema["properties"]
        )
    dependents = [f"{kind}/{how}" for kind in MASTERS for how in ("deps", "ldeps")]
    for path in (*_QUESTIONS, *(each for each in dependents if not each.startswith("accountRiskStatusLog"))):
        if "get" not in spec["paths"].get(f"/{path}", {}):
            yield f"no question {path}"
    for name, shape in _SHAPES.items():
        known = schemas.get(name, {}).get("properties", {})
        yield from (f"{name} has no {field}" for field in shape.model_fields if field not in known)
    for name, words in _WORDS.items():
        known = schemas.get(name, {}).get("enum", ())
        yield from (f"{name} has no word {word}" for word in words if word not in known)
    for name, needed in _ITEMS.items():
        known = schemas.get(name, {}).get("properties", {})
        yield from (f"{name} has no {field}" for field in needed if field not in known)


@pytest.mark.skipif(_VARIABLE not in os.environ, reason=f"{_VARIABLE} names no file: the vendor grants no licence")
def test_the_description_has_everything_that_we_use() -> None:
    spec = json.loads(Path(os.environ[_VARIABLE]).read_text())
    assert list(differences(spec)) == []


def _written_by_hand() -> dict[str, Any]:
    """A description that has exactly what we use."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for number, (path, fields) in enumerate(BODIES.items()):
        names = (*fields.required, *fields.optional)
        schemas[f"Body{number}"] = {"properties": {key: {} for key in names}, "required": list(fields.required)}
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/Body{number}"}}}
        paths[f"/{path}"] = {"post": {"requestBody": {"content": content}}}
    for path in (*_QUESTIONS, *(f"{kind}/{how}" for kind in MASTERS for how in ("deps", "ldeps"))):
        paths[f"/{path}"] = {"get": {}}
    for name, shape in _SHAPES.items():
        schemas[name] = {"properties": {key: {} for key in shape.model_fields}}
    for name, words in _WORDS.items():
        schemas[name] = {"enum": sorted(set(words))}
    for name, needed in _ITEMS.items():
        schemas[name] = {"properties": {key: {} for key in needed}}
    return {"paths": paths, "components": {"schemas": schemas}}


def test_a_missing_call_field_or_word_is_noticed() -> None:
    assert list(differences(_written_by_hand())) == []
    without_call, without_field, without_word = _written_by_hand(), _written_by_hand(), _written_by_hand()
    del without_call["paths"]["/order/liquidatepositions"]
    del without_field["components"]["schemas"]["Fill"]["properties"]["qty"]
    without_word["components"]["schemas"]["SetAdminAutoLiqActionAdminAction"]["enum"].remove("Normal")
    assert list(differences(without_call)) == ["no call order/liquidatepositions"]
    assert list(differences(without_field)) == ["Fill has no qty"]
    assert set(differences(without_word)) == {"SetAdminAutoLiqActionAdminAction has no word Normal"}
