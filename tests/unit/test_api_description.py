"""The OpenAPI document says who may ask, every refusal, every unit, and has examples that are valid."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest

from api.openapi.fields import is_time
from api.openapi.tags import TAGS
from front.permissions import CAN, PERSONS_ONLY
from tests.api_description import document, operations
from tests.api_routes import ROUTES, blank

# POSTs without an Idempotency-Key, and why a repetition does no harm.
_UNKEYED: Final = {
    "/v1/sessions": "signs in", "/v1/sessions/passkey": "signs in", "/v1/sessions/passkey/options": "signs in",
    "/v1/sessions/second-factor": "signs in", "/v1/sessions/second-factor/options": "signs in",
    "/v1/factors/link": "own factors", "/v1/factors/passkeys": "own factors",
    "/v1/factors/authenticator": "own factors",
    "/v1/factors/passkeys/options": "own factors", "/v1/factors/authenticator/confirm": "own factors",
    "/v1/factors/recovery-codes": "own factors",
    "/v1/step-ups": "a proof is used once", "/v1/step-ups/options": "a proof is used once",
    "/v1/traders/{trader_id}/checkout/preview": "changes nothing",
    "/v1/queue/bulk/preview": "changes nothing",
    "/v1/checkout/preview": "changes nothing", "/v1/orders/check": "changes nothing",
    "/v1/accounts/{account_id}/adjustments/simulate": "changes nothing",
    "/v1/accounts/{account_id}/payouts/simulate": "changes nothing", "/v1/exposure/what-if": "changes nothing",
    "/v1/accounts/{account_id}/credentials/show": "the answer must not be stored",
    "/v1/traders/{trader_id}/identity-check": "answers the open check",
    "/webhooks/payments/{provider}": "events have an id", "/webhooks/mail/{door}": "mails have an id",
    "/webhooks/tickets/{desk}": "events have an id",
}  # fmt: skip
# Objects whose fields depend on the kind of thing, or that another standard defines.
_OPEN_OBJECTS: Final = {
    "AuditRow.evidence": "facts of the action", "TransitionView.detail": "facts of the step",
    "DecisionView.evidence": "facts of the decision", "DisputeView.evidence": "facts of the breach",
    "BreakView.detail": "facts of the kind of break", "ReviewView.detail": "facts of the kind of review",
    "BrokenView.figures": "figures of the rule", "WarningView.figures": "figures of the rule",
    "RefusalPart.figures": "figures of the rule", "RefusalReason.figures": "figures of the rule",
    "CorrectedVerdict.correction": "figures of the rule", "PayoutView.checks": "one entry per check",
    "EventView.body": "as the webhook of its type", "Table.": "columns of its own",
    "PasskeyAsked.options": "WebAuthn", "PasskeyBody.credential": "WebAuthn", "PasskeySignIn.credential": "WebAuthn",
    "SecondFactorBody.credential": "WebAuthn", "StepUpBody.credential": "WebAuthn",
    "PolicyBody.policy": "checked field by field when it is proposed",
    "GET /v1/proofs/{proof_id}": "fields of its kind and version: `propos proof check` reads them",
}  # fmt: skip
# Numbers without a unit: counts, numbers of something, ids.
_PLAIN: Final = re.compile(
    r"(^|_)(version|login|deal|id|seq|number|instance|batch|offence|round|attempt|attempts|tries|times|steps|size|score)$"
    r"|^(from|to)_|^(min|max|every|open)_|^(approvals|approvers)(_needed)?$|(_left|_needed|_codes)$|leverage|status"
)
_COUNTED: Final = {
    *("accounts", "challenges", "breaches", "payouts", "payout", "traders", "entries", "events", "shards", "passes"),
    *("openings", "positions", "moved", "waiting", "confirmed", "eligible", "false_positive", "inconclusive"),
    *("refused", "required", "undecided", "unknown", "unreconciled", "unseen", "estimated", "flagged", "closed"),
    *("trades", "wins", "losses", "marked", "fills"),
    *("lost", "owing", "alike", "below", "limit", "spread", "ledger_imbalance"),
}


def _walk(part: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        yield name, part
        for key, each in part.items():
            if key not in ("example", "default", "const"):
                yield from _walk(each, name)
    elif isinstance(part, list):
        for each in part:
            yield from _walk(each, name)


def _fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for model, schema in document()["components"]["schemas"].items():
        for name, field in schema.get("properties", {}).items():
            yield model, name, field


def test_operations_have_stable_names_of_their_own_and_a_chapter() -> None:
    names = Counter(operation["operationId"] for *_, operation in operations())
    assert [name for name, count in names.items() if count > 1 or not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    assert {tag for *_, each in operations() for tag in each["tags"]} == {tag["name"] for tag in TAGS}
    assert [name for name in document()["components"]["schemas"] if "__" in name or "[" in name] == []


def test_every_operation_says_which_right_it_needs_and_whether_a_key_may_ask() -> None:
    rights = {(method, blank(path)): right for method, path, _, right in ROUTES}
    for method, path, operation in operations():
        right = rights.get((method, re.sub("products/two-step(/1)?", "", re.sub(r"\{\w+\}", "{}", path))))
        said: str = operation.get("x-permission", "")
        if right is None and not said:
            continue
        if right is not None:
            assert said == right, (method, path)
        assert operation["x-roles"] == sorted(CAN[said])
        by_key = said not in PERSONS_ONLY
        assert operation["x-api-key"] is by_key
        assert ({"apiKey": [said]} in operation["security"]) is by_key, path
        cookie = next(each for each in operation["security"] if "cookie" in each)
        assert ("csrf" in cookie) is (method != "GET"), path


def test_every_post_needs_a_key_or_says_why_not() -> None:
    unkeyed = set()
    for method, path, operation in operations():
        keys = [each for each in operation.get("parameters", ()) if each["name"] == "Idempotency-Key"]
        assert all(each["required"] and each["schema"]["type"] == "string" for each in keys)
        if method == "POST" and not keys:
            unkeyed.add(path)
    assert unkeyed == set(_UNKEYED)


def test_every_refusal_is_a_typed_problem() -> None:
    components = document()["components"]
    for method, path, operation in operations():
        for status, answer in operation["responses"].items():
            if status < "400" or path == "/readyz":
                continue
            [content] = components["responses"][answer["$ref"].rpartition("/")[2]]["content"].items()
            assert content[0] == "application/problem+json"
            problem = components["schemas"][content[1]["schema"]["$ref"].rpartition("/")[2]]
            assert problem["properties"]["status"]["const"] == int(status), (method, path)
            assert problem["properties"]["type"]["enum"], (method, path)
    kinds = components["schemas"]["ConflictProblem"]["properties"]["type"]["enum"]
    assert {"idempotency-mismatch", "already-decided", "platform-change-refused", "decision-replayed"} <= set(kinds)


def test_every_answer_is_typed() -> None:
    found = set()
    for model, schema in document()["components"]["schemas"].items():
        if schema.get("additionalProperties") is True:
            found.add(f"{model}.")
        for name, field in schema.get("properties", {}).items():
            if any(each.get("additionalProperties") is True or _shapeless(each) for _, each in _walk(field, name)):
                found.add(f"{model}.{name}")
    for method, path, operation in operations():
        for status, answer in operation["responses"].items():
            if any(each.get("additionalProperties") is True for _, each in _walk(answer, status)):
                found.add(f"{method} {path}")
    assert found == set(_OPEN_OBJECTS)


def _shapeless(schema: dict[str, Any]) -> bool:
    """A value of which nothing is known."""
    return "additionalProperties" in schema and schema["additionalProperties"] == {"$ref": _ANYTHING}


_ANYTHING: Final = "#/components/schemas/JsonValue"


def test_money_time_and_shares_have_units() -> None:
    bare = {
        name
        for _, name, field in _fields()
        if any(each.get("type") in ("integer", "number") for each in (field, *field.get("anyOf", ())))
        and "description" not in field
        and not _PLAIN.search(name)
        and name not in _COUNTED
    }
    assert bare == set()
    for model, name, field in _fields():
        if name.endswith("_minor") or is_time(field):
            assert field.get("description"), (model, name)


@pytest.mark.parametrize("part", ["requests", "answers", "refusals"])
def test_examples_are_valid(part: str) -> None:
    checked = 0
    for where, content in _contents(part):
        schema = {**content["schema"], "components": document()["components"]}
        checker = jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        problems = [f"{where}: {error.message}" for error in checker.iter_errors(content["example"])]
        assert problems == []
        checked += 1
    assert checked >= {"requests": 100, "answers": 200, "refusals": 10}[part]


def _contents(part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if part == "refusals":
        for name, response in document()["components"]["responses"].items():
            yield name, response["content"]["application/problem+json"]
        return
    for method, path, operation in operations():
        bodies = [operation.get("requestBody", {})] if part == "requests" else list(operation["responses"].values())
        for body in bodies:
            for kind, content in body.get("content", {}).items():
                if kind == "application/json":
                    yield f"{method} {path}", content
