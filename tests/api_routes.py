"""Every route of the JSON API with who may use it: the table that tests of access go through."""

import re
from typing import Any

from domain.keys import derived_id
from tests.api_world import IBAN, PASSWORD, Person

REASON = {"reason": "because"}
CASE, REVIEW = derived_id("cas", "one"), derived_id("rev", "one")
ACTION, POLICY, MACRO = derived_id("act", "one"), derived_id("pch", "one"), derived_id("mac", "one")
PAYOUT = derived_id("pay", "nobody")
PROPOSAL, MOVE = derived_id("ppr", "one"), derived_id("mov", "one")
CHANGE = derived_id("plc", "one")
MEMBER, SIGN_IN, STAFF_CHANGE = derived_id("usr", "one"), derived_id("ses", "one"), derived_id("sch", "one")
CHANGES = {"account_id": derived_id("acc", "tina"), "to_platform": "west", "reason": "because"}
COMPENSATION = derived_id("cmp", "one")
CHARGEBACK, RECEIPT = derived_id("cbk", "one"), derived_id("rcp", "one")
BENEFICIARY, HIT, BREAK = derived_id("ben", "one"), derived_id("sht", "one"), derived_id("brk", "one")
KEY, ENDPOINT, EVENT = derived_id("key", "one"), derived_id("whk", "one"), derived_id("evt", "one")
NOTIFICATION = derived_id("ntf", "one")
MAIL, FILE = derived_id("ima", "one"), derived_id("att", "one")
ON_PAGES_ONLY = {"sanctions.read", "beneficiaries.read"}
MOVES = {"product": "two-step", "from_version": 1, "to_version": 2, "accounts": None, "reason": "because"}
ORDER = {"account_id": derived_id("acc", "tina"), "kind": "market", "symbol": "EURUSD", "side": "buy", "lots": "1"}
PASSKEY = derived_id("psk", "one")
PROOF = {"action": "money", "digest": "0" * 64, "method": "password", "text": PASSWORD}

# method, path, body, permission; {noun} becomes an id of the person whose things are asked for
ROUTES: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("GET", "/v1/products", None, "products.read"),
    ("GET", "/v1/products/two-step", None, "products.read"),
    ("GET", "/v1/products/two-step/1/words", None, "products.read"),
    ("GET", "/v1/products/two-step/versions", None, "versions.read"),
    ("POST", "/v1/products/two-step/versions?reason=because", {"product": "two-step"}, "versions.propose"),
    ("GET", "/v1/product-proposals", None, "versions.read"),
    ("GET", f"/v1/product-proposals/{PROPOSAL}", None, "versions.read"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/approve", REASON, "versions.decide"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/reject", REASON, "versions.decide"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/withdraw", REASON, "versions.propose"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/publish", None, "versions.propose"),
    ("POST", "/v1/account-moves", MOVES, "versions.propose"),
    ("POST", "/v1/platform-changes", CHANGES, "platform_changes.propose"),
    ("GET", "/v1/platform-changes", None, "platform_changes.read"),
    ("GET", f"/v1/platform-changes/{CHANGE}", None, "platform_changes.read"),
    ("POST", f"/v1/platform-changes/{CHANGE}/approve", REASON, "platform_changes.decide"),
    ("POST", f"/v1/platform-changes/{CHANGE}/reject", REASON, "platform_changes.decide"),
    ("POST", f"/v1/platform-changes/{CHANGE}/withdraw", REASON, "platform_changes.propose"),
    ("POST", f"/v1/platform-changes/{CHANGE}/abandon", REASON, "platform_changes.decide"),
    ("GET", "/v1/account-moves", None, "versions.read"),
    ("GET", f"/v1/account-moves/{MOVE}", None, "versions.read"),
    ("POST", f"/v1/account-moves/{MOVE}/approve", REASON, "versions.decide"),
    ("POST", f"/v1/account-moves/{MOVE}/reject", REASON, "versions.decide"),
    ("POST", f"/v1/account-moves/{MOVE}/withdraw", REASON, "versions.propose"),
    ("GET", "/v1/challenges", None, "challenges.read"),
    ("GET", "/v1/challenges/{chl}", None, "challenges.read"),
    ("POST", "/v1/challenges", {"product": "instant"}, "challenges.buy"),
    ("POST", "/v1/checkout/preview", {"product": "instant"}, "challenges.buy"),
    ("GET", "/v1/receipts", None, "receipts.read"),
    ("GET", f"/v1/receipts/{RECEIPT}", None, "receipts.read"),
    ("POST", "/v1/challenges/{chl}/orders", {"kind": "reset"}, "challenges.order"),
    ("POST", "/v1/challenges/{chl}/refund", REASON, "challenges.refund"),
    ("POST", "/v1/challenges/{chl}/extension", REASON, "challenges.extend"),
    ("POST", "/v1/orders/check", ORDER, "orders.check"),
    ("GET", "/v1/accounts", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/deals", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/bars", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/breaches", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/timeline", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/room", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/warnings", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/gates", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/deductions", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/credentials", None, "accounts.read"),
    ("POST", "/v1/accounts/{acc}/credentials/show", None, "credentials.show"),
    ("POST", "/v1/accounts/{acc}/credentials/reset", REASON, "credentials.reset"),
    ("GET", "/v1/accounts/{acc}/payouts/preview?amount=100.00", None, "payouts.read"),
    ("POST", "/v1/accounts/{acc}/payouts/simulate", {"amount": "100.00"}, "payouts.simulate"),
    ("POST", "/v1/accounts/{acc}/payouts", {"amount": "100.00"}, "payouts.request"),
    ("GET", "/v1/breaches", None, "breaches.read"),
    ("GET", "/v1/breaches/{brc}", None, "breaches.read"),
    ("GET", "/v1/proofs/{prf}", None, "breaches.read"),
    ("POST", "/v1/breaches/{brc}/disputes", {"statement": "no"}, "disputes.open"),
    ("GET", "/v1/payouts", None, "payouts.read"),
    ("GET", "/v1/payouts/{pay}", None, "payouts.read"),
    ("POST", "/v1/payouts/{pay}/approve", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/retract", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/stop", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/send-again", {**REASON, "beneficiary": "0" * 16}, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/release", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/keep", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/return", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/reject", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/cancel", REASON, "payouts.cancel"),
    ("GET", "/v1/chargebacks", None, "chargebacks.read"),
    ("GET", f"/v1/chargebacks/{CHARGEBACK}", None, "chargebacks.read"),
    ("POST", f"/v1/chargebacks/{CHARGEBACK}/submit", REASON, "chargebacks.decide"),
    ("POST", f"/v1/chargebacks/{CHARGEBACK}/accept", REASON, "chargebacks.decide"),
    ("GET", "/v1/disputes", None, "disputes.read"),
    ("GET", "/v1/disputes/{dsp}", None, "disputes.read"),
    ("GET", "/v1/disputes/{dsp}/pack", None, "disputes.read"),
    (
        "POST",
        "/v1/disputes/{dsp}/compensations",
        {**REASON, "amount": "50.00", "message": "We are sorry."},
        "compensations.propose",
    ),
    ("GET", f"/v1/compensations/{COMPENSATION}", None, "compensations.read"),
    ("POST", f"/v1/compensations/{COMPENSATION}/grant", REASON, "compensations.decide"),
    ("POST", f"/v1/compensations/{COMPENSATION}/reject", REASON, "compensations.decide"),
    ("POST", f"/v1/compensations/{COMPENSATION}/withdraw", REASON, "compensations.propose"),
    ("POST", "/v1/disputes/{dsp}/appeals", {"statement": "No."}, "disputes.open"),
    ("POST", "/v1/disputes/{dsp}/uphold", {**REASON, "seen": "0" * 64}, "disputes.decide"),
    ("POST", "/v1/disputes/{dsp}/reinstate", {**REASON, "seen": "0" * 64}, "disputes.decide"),
    ("GET", "/v1/cases", None, "cases.read"),
    ("GET", f"/v1/cases/{CASE}", None, "cases.read"),
    ("POST", f"/v1/cases/{CASE}/clear", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/confirm", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/deduct", {**REASON, "seen": "0" * 64}, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/withdraw", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/inconclusive", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/warn", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/deny", {**REASON, "seen": "0" * 64}, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/notes", {"body": "One signal."}, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/assign", {"to": ""}, "cases.decide"),
    ("GET", f"/v1/cases/{CASE}/letters", None, "cases.read"),
    ("GET", "/v1/surveillance/precision", None, "cases.read"),
    ("GET", "/v1/surveillance/policy", None, "policy_changes.read"),
    ("POST", "/v1/policy-changes", {"policy": {}, **REASON}, "policy_changes.decide"),
    ("GET", f"/v1/policy-changes/{POLICY}", None, "policy_changes.read"),
    ("POST", f"/v1/policy-changes/{POLICY}/approve", REASON, "policy_changes.decide"),
    ("POST", f"/v1/policy-changes/{POLICY}/reject", REASON, "policy_changes.decide"),
    ("POST", f"/v1/policy-changes/{POLICY}/withdraw", REASON, "policy_changes.decide"),
    ("GET", "/v1/accounts/{acc}/actions", None, "accounts.read"),
    ("POST", f"/v1/actions/{ACTION}/appeals", {"statement": "No."}, "disputes.open"),
    ("GET", f"/v1/cases/{CASE}/trades", None, "cases.read"),
    (
        "POST",
        f"/v1/cases/{CASE}/actions",
        {**REASON, "action": "close", "rule": "Copying."},
        "cases.decide",
    ),
    ("GET", "/v1/reviews", None, "reviews.read"),
    ("GET", f"/v1/reviews/{REVIEW}", None, "reviews.read"),
    ("POST", f"/v1/reviews/{REVIEW}/close", REASON, "reviews.close"),
    ("POST", f"/v1/reviews/{REVIEW}/confirm", REASON, "reviews.decide"),
    ("POST", f"/v1/reviews/{REVIEW}/dismiss", REASON, "reviews.decide"),
    ("GET", "/v1/traders", None, "traders.list"),
    ("GET", "/v1/traders/{trd}", None, "traders.read"),
    ("PUT", "/v1/traders/{trd}/beneficiary", {"iban": IBAN}, "traders.set_beneficiary"),
    ("POST", "/v1/traders/{trd}/identity", {"verified": True, "reason": "seen"}, "traders.decide_identity"),
    ("POST", "/v1/traders/{trd}/identity-facts", REASON, "traders.identity_facts"),
    ("GET", "/v1/tickets", None, "tickets.read"),
    ("GET", "/v1/tickets/{tkt}", None, "tickets.read"),
    ("POST", "/v1/tickets", {"subject": "x", "body": "y"}, "tickets.open"),
    ("POST", "/v1/tickets/{tkt}/messages", {"body": "y"}, "tickets.write"),
    ("POST", "/v1/tickets/{tkt}/solve", None, "tickets.solve"),
    ("POST", "/v1/traders/{trd}/tickets", {"subject": "x", "body": "y"}, "tickets.open_for"),
    ("POST", "/v1/tickets/{tkt}/notes", {"body": "y"}, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/claim", {}, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/release", None, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/snooze", {}, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/wake", None, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/merge", {"into": derived_id("tkt", "other")}, "tickets.work"),
    ("POST", "/v1/tickets/{tkt}/split", None, "tickets.work"),
    ("PUT", "/v1/tickets/{tkt}/looking", {}, "tickets.work"),
    ("POST", f"/v1/tickets/{{tkt}}/macros/{MACRO}", None, "tickets.work"),
    ("GET", "/v1/tickets/{tkt}/context", None, "tickets.context"),
    ("GET", "/v1/tickets/{tkt}/clocks", None, "tickets.context"),
    ("POST", "/v1/tickets/{tkt}/rating", {"score": 5}, "tickets.rate"),
    ("GET", "/v1/macros", None, "macros.read"),
    ("POST", "/v1/macros", {"name": "Hello", "body": "Hello {{trader.name}}"}, "macros.change"),
    ("POST", f"/v1/macros/{MACRO}", {"name": "Hello", "body": "Hello"}, "macros.change"),
    ("POST", f"/v1/macros/{MACRO}/retire", None, "macros.change"),
    ("GET", "/v1/service-policy", None, "service.read"),
    ("GET", "/v1/tickets/{tkt}/mails", None, "tickets.read"),
    ("GET", f"/v1/mail-attachments/{FILE}", None, "tickets.read"),
    ("GET", "/v1/mails", None, "mails.read"),
    ("GET", "/v1/notifications", None, "notifications.own"),
    ("POST", "/v1/notifications/read", {"until": NOTIFICATION}, "notifications.own"),
    ("POST", f"/v1/notifications/{NOTIFICATION}/read", None, "notifications.own"),
    ("GET", "/v1/notification-choices", None, "notifications.own"),
    ("PUT", "/v1/notification-choices/account.warning", {"off": []}, "notifications.own"),
    ("GET", "/v1/notification-kinds", None, "notifications.preview"),
    ("GET", "/v1/notification-kinds/account.warning/preview", None, "notifications.preview"),
    ("GET", "/v1/incoming-mails", None, "mails.read"),
    ("GET", "/v1/mail-addresses", None, "mails.read"),
    ("POST", f"/v1/incoming-mails/{MAIL}/release", None, "mails.release"),
    ("POST", "/v1/mail-addresses/clear", {"address": "ada@example.com"}, "mails.release"),
    ("GET", "/v1/traders/{trd}/beneficiaries", None, "traders.read"),
    ("POST", "/v1/traders/{trd}/payees", {"rail": "elsewhere"}, "traders.set_beneficiary"),
    ("POST", "/v1/traders/{trd}/identity-check", None, "traders.check_identity"),
    ("POST", f"/v1/beneficiaries/{BENEFICIARY}/confirm", REASON, "beneficiaries.decide"),
    ("POST", f"/v1/beneficiaries/{BENEFICIARY}/refuse", REASON, "beneficiaries.decide"),
    ("POST", f"/v1/sanction-hits/{HIT}/clear", REASON, "sanctions.decide"),
    ("POST", f"/v1/sanction-hits/{HIT}/confirm", REASON, "sanctions.decide"),
    ("GET", "/v1/reconciliation", None, "breaks.read"),
    ("GET", "/v1/liability", None, "liability.read"),
    ("GET", "/v1/breaks", None, "breaks.read"),
    ("GET", f"/v1/breaks/{BREAK}", None, "breaks.read"),
    ("POST", f"/v1/breaks/{BREAK}/match", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/assign", {"owner": derived_id("usr", "one")}, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/explain", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/fee", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/reopen", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/suspense", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/take", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/write-off", REASON, "breaks.decide"),
    ("POST", f"/v1/breaks/{BREAK}/lock-again", REASON, "breaks.again"),
    ("POST", f"/v1/breaks/{BREAK}/push-again", REASON, "breaks.again"),
    ("POST", f"/v1/breaks/{BREAK}/enable-again", REASON, "breaks.again"),
    ("GET", "/v1/deals", None, "deals.read"),
    ("GET", "/v1/ledger-entries", None, "ledger.read"),
    ("GET", "/v1/queue", None, "queue.read"),
    ("GET", "/v1/summary", None, "summary.read"),
    ("GET", "/v1/platforms", None, "platforms.read"),
    ("GET", "/v1/exposure", None, "exposure.read"),
    ("GET", "/v1/exposure/history", None, "exposure.read"),
    ("GET", "/v1/exposure/limits", None, "exposure.read"),
    ("GET", "/v1/exposure/days", None, "exposure.read"),
    ("POST", "/v1/exposure/stops", {**REASON, "platform": "sandbox"}, "exposure.stop"),
    ("POST", "/v1/exposure/what-if", {"shock": "EURUSD -2 %"}, "exposure.what_if"),
    ("GET", "/v1/permissions", None, "permissions.read"),
    ("GET", "/v1/staff", None, "staff.read"),
    ("POST", f"/v1/staff/{MEMBER}/review", REASON, "staff.review"),
    ("GET", f"/v1/staff/{MEMBER}/sessions", None, "staff.end_sign_ins"),
    ("DELETE", f"/v1/staff/{MEMBER}/sessions", None, "staff.end_sign_ins"),
    ("DELETE", f"/v1/staff/{MEMBER}/sessions/{SIGN_IN}", None, "staff.end_sign_ins"),
    (
        "POST",
        "/v1/staff-changes",
        {**REASON, "kind": "role", "user_id": MEMBER, "role": "risk"},
        "staff_changes.decide",
    ),
    ("GET", "/v1/staff-changes", None, "staff_changes.read"),
    ("GET", f"/v1/staff-changes/{STAFF_CHANGE}", None, "staff_changes.read"),
    ("POST", f"/v1/staff-changes/{STAFF_CHANGE}/approve", REASON, "staff_changes.decide"),
    ("POST", f"/v1/staff-changes/{STAFF_CHANGE}/reject", REASON, "staff_changes.decide"),
    ("POST", f"/v1/staff-changes/{STAFF_CHANGE}/withdraw", REASON, "staff_changes.decide"),
    ("GET", "/v1/audit", None, "audit.read"),
    ("GET", "/v1/parked-messages", None, "queue.read"),
    ("POST", "/v1/parked-messages/outbox/1/retry", None, "messages.retry"),
    ("POST", "/v1/parked-messages/outbox/1/drop", REASON, "messages.drop"),
    ("GET", "/v1/audit/verify", None, "audit.read"),
    ("POST", "/v1/audit/verify", None, "audit.verify"),
    ("GET", "/v1/search?q=A-10001", None, "search"),
    ("GET", "/v1/api-keys", None, "keys.manage"),
    ("POST", "/v1/api-keys", {"name": "crm", "scopes": ["accounts.read"]}, "keys.manage"),
    ("POST", f"/v1/api-keys/{KEY}/rotate", {}, "keys.manage"),
    ("POST", f"/v1/api-keys/{KEY}/revoke", None, "keys.manage"),
    ("GET", "/v1/events", None, "events.read"),
    ("GET", "/v1/webhook-endpoints", None, "webhooks.read"),
    ("POST", "/v1/webhook-endpoints", {"url": "https://hooks.example.com/", "kinds": ["*"]}, "webhooks.manage"),
    ("GET", f"/v1/webhook-endpoints/{ENDPOINT}", None, "webhooks.read"),
    ("GET", f"/v1/webhook-endpoints/{ENDPOINT}/deliveries", None, "webhooks.read"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/change", {"kinds": ["*"]}, "webhooks.manage"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/rotate", {}, "webhooks.manage"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/enable", None, "webhooks.manage"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/disable", None, "webhooks.manage"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/test", None, "webhooks.manage"),
    ("POST", f"/v1/webhook-endpoints/{ENDPOINT}/replay", {"event_id": EVENT}, "webhooks.manage"),
    ("GET", "/v1/factors", None, "factors.own"),
    ("POST", "/v1/factors/link", None, "factors.own"),
    ("POST", "/v1/factors/passkeys/options", None, "factors.own"),
    ("POST", "/v1/factors/passkeys", {"challenge_id": "", "name": "key", "credential": {}}, "factors.own"),
    ("PUT", f"/v1/factors/passkeys/{PASSKEY}", {"name": "key"}, "factors.own"),
    ("DELETE", f"/v1/factors/passkeys/{PASSKEY}", None, "factors.own"),
    ("POST", "/v1/factors/authenticator", None, "factors.own"),
    ("POST", "/v1/factors/authenticator/confirm", {"code": "x"}, "factors.own"),
    ("DELETE", "/v1/factors/authenticator", None, "factors.own"),
    ("POST", "/v1/factors/recovery-codes", None, "factors.own"),
    ("POST", "/v1/step-ups/options", {"digest": "0" * 64}, "step_ups.make"),
    ("POST", "/v1/step-ups", PROOF, "step_ups.make"),
    ("POST", "/v1/sign-in/invitations", {"login": "risk"}, "sign_in.invite"),
]
OPEN = {
    ("POST", "/v1/sessions"), ("GET", "/v1/sessions/current"), ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/sessions/passkey/options"), ("POST", "/v1/sessions/passkey"),
    ("POST", "/v1/sessions/second-factor/options"), ("POST", "/v1/sessions/second-factor"),
    ("GET", "/v1/sessions"), ("DELETE", "/v1/sessions"), ("DELETE", "/v1/sessions/{}"), ("PUT", "/v1/password"),
    ("POST", "/v1/password-recovery"), ("PUT", "/v1/password-recovery"), ("POST", "/v1/invitations"),
    ("POST", "/v1/email-confirmation"), ("PUT", "/v1/email-confirmation"), ("PUT", "/v1/beneficiary-confirmation"),
    ("POST", "/v1/traders"), ("POST", "/webhooks/payments/{}"), ("POST", "/webhooks/mail/{}"),
    ("POST", "/webhooks/tickets/{}"),
    ("GET", "/healthz"), ("GET", "/readyz"),
}  # fmt: skip
NAMED = "cas|cbk|cmp|rcp|rev|ppr|mov|ben|sht|brk|plc|act|pch|key|whk|ima|att|usr|ses|sch|psk|mac|ntf"
NOUNS = ("chl", "acc", "brc", "prf", "pay", "dsp", "tkt", "trd")


def url_of(person: Person, path: str) -> str:
    for noun in NOUNS:
        path = path.replace(f"{{{noun}}}", person.trader_id if noun == "trd" else person.has(noun))
    return path


def blank(path: str) -> str:
    plain = re.sub(r"\{\w+\}", "{}", path).replace("/outbox/1/", "/{}/{}/").replace("/account.warning", "/{}")
    return re.sub(rf"({NAMED})_\w{{26}}", "{}", plain).split("?")[0]


class Agrees(dict[str, Any]):
    """A workflow behind every id, which agrees to everything."""

    def __missing__(self, workflow_id: str) -> Any:
        subject = workflow_id.split("/")[1]
        refund = {"state": "refunded", "phase_index": 1}
        return lambda update, _: refund if update == "refund" else _result(subject, update)


def _result(subject: str, update: str) -> dict[str, Any]:
    return {"subject_id": subject, "state": "decided", "decision": update, "approvals": 1, "approvals_needed": 1}
