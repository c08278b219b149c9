"""Whatever a person does or sees in the console, a program can do through the API, with a few named exceptions."""

from typing import Any, Final, cast

from fastapi.routing import iter_route_contexts

import console
from front.deps import ApiDeps
from front.subjects.table import SUBJECTS
from tests.api_description import operations

# address of the console -> the operation that does the same
_ACTIONS: Final = {
    "/sign-in": "open_a_session", "/sign-out": "end_the_session", "/sign-up": "sign_up",
    "/forgot": "ask_for_recovery", "/recover": "recover_password", "/invited": "accept_invitation",
    "/confirm": "confirm_email", "/bank-account": "confirm_beneficiary_by_mail",
    "/sign-ins/end": "end_sign_in", "/sign-ins/password": "change_password",
    "/sign-ins/confirmation": "ask_for_confirmation",
    "/staff": "propose_staff_change", "/staff/{id}/review": "review_access", "/staff/{id}/end": "end_sign_ins_of_staff",
    "/sign-in/passkey": "sign_in_with_passkey", "/sign-in/second-factor": "complete_sign_in",
    "/security/link": "mail_link", "/security/passkeys/new": "begin_passkey", "/security/passkeys": "add_passkey",
    "/security/passkeys/{id}/name": "rename_passkey", "/security/passkeys/{id}/remove": "remove_passkey",
    "/security/authenticator": "begin_authenticator", "/security/authenticator/confirm": "confirm_authenticator",
    "/security/authenticator/remove": "remove_authenticator", "/security/recovery-codes": "renew_recovery_codes",
    "/accounts/{ref}/platform-change": "propose_platform_change", "/accounts/{ref}/sign-in": "show_credentials",
    "/accounts/{ref}/sign-in/reset": "reset_credentials", "/accounts/{ref}/payout": "request_payout",
    "/challenges/export": "list_challenges", "/breaches/export": "list_breaches", "/traders/export": "list_traders",
    "/deals/export": "list_all_deals", "/ledger/export": "list_ledger_entries", "/cases/export": "list_cases",
    "/accounts/export": "list_accounts", "/payouts/export": "list_payouts", "/tickets/export": "list_tickets",
    "/queue/export": "list_queue",
    "/buy/{product}": "buy_challenge", "/disputes/{id}/pack": "get_pack",
    "/cases/{id}/action": "propose_action", "/cases/{id}/notes": "add_case_note",
    "/cases/{id}/assignment": "assign_case",
    "/risk/policy": "propose_policy_change",
    "/product-drafts": "start_product_draft", "/product-drafts/{id}": "save_product_draft",
    "/product-drafts/{id}/delete": "delete_product_draft", "/product-drafts/{id}/impact": "ask_for_impact",
    "/product-drafts/{id}/proposal": "propose_product_draft",
    "/moves": "propose_move",
    "/tickets": "open_ticket", "/tickets/{id}/reply": "write_message", "/tickets/{id}/take-back": "take_message_back",
    "/tickets/{id}/solve": "solve_ticket", "/tickets/{id}/presence": "look_at_ticket",
    "/tickets/{id}/macro": "fill_macro",
    "/tickets/{id}/claim": "claim_ticket", "/tickets/{id}/release": "release_ticket",
    "/tickets/{id}/snooze": "snooze_ticket",
    "/tickets/{id}/wake": "wake_ticket", "/tickets/{id}/merge": "merge_ticket", "/tickets/{id}/split": "split_ticket",
    "/tickets/{id}/rating": "rate_ticket", "/traders/{id}/tickets": "open_ticket_for_trader", "/macros": "write_macro",
    "/mails/{id}/release": "release_mail", "/mails/clear": "clear_address",
    "/reports/{name}/export": "report_revenue",
    "/exposure/stops": "ask_for_stop", "/messages/{box}/{number}/retry": "retry_message",
    "/messages/{box}/{number}/drop": "drop_message", "/reviews/{id}/close": "close_review",
    "/disputes/{id}/compensation": "propose_compensation", "/audit/verify": "verify_whole_audit",
    "/api-keys": "make_key", "/api-keys/{id}/rotate": "rotate_key", "/api-keys/{id}/revoke": "revoke_key",
    "/webhook-endpoints": "add_endpoint", "/webhook-endpoints/{id}/rotate": "rotate_secret",
    "/webhook-endpoints/{id}/switch": "enable_endpoint", "/webhook-endpoints/{id}/test": "send_test",
    "/webhook-endpoints/{id}/replay": "replay_events",
    "/identity-check": "check_identity", "/beneficiary": "put_beneficiary", "/breaches/{id}/dispute": "open_dispute",
    "/actions/{id}/appeal": "open_appeal", "/disputes/{id}/appeal": "open_second",
    "/certificates": "make_certificate", "/certificates/{id}/renew": "renew_certificate",
    "/certificates/{id}/revoke": "revoke_certificate",
    "/notifications/choices": "choose_channels", "/notifications/read": "mark_notifications",
    "/notifications/{id}/open": "mark_notification",
    "/accounts/{ref}/actions/{name}": "freeze_account",  # each of its actions is a verb of its own in the API
    "/decisions/export": "list_decisions", "/passes/export": "list_passes", "/queue/bulk": "decide_bulk",
    "/queue/{kind}/{id}/claim": "claim_work", "/queue/{kind}/{id}/take-over": "claim_work",
    "/queue/{kind}/{id}/release": "release_work", "/queue/{kind}/{id}/snooze": "snooze_work",
    "/queue/{kind}/{id}/wake": "wake_work", "/queue/{kind}/{id}/escalate": "escalate_work",
    "/queue/{kind}/{id}/undo": "undo_work",
    "/views": "save_view", "/views/delete": "delete_view",
}  # fmt: skip
_PAGES: Final = {
    "/": "get_summary", "/overview": "get_summary", "/sign-ins": "list_sign_ins", "/staff": "list_staff",
    "/staff/{id}": "list_sign_ins_of_staff", "/permissions": "list_permissions", "/security": "list_factors",
    "/accounts": "list_accounts", "/accounts/rows": "list_accounts", "/accounts/{ref}": "get_account",
    "/accounts/{ref}/live": "get_account",
    "/accounts/{ref}/curve.json": "list_bars", "/accounts/{ref}/order": "check_order",
    "/accounts/{ref}/payout": "simulate_payout",
    "/challenges": "list_challenges", "/breaches": "list_breaches", "/traders": "list_traders",
    "/deals": "list_all_deals", "/ledger": "list_ledger_entries", "/cases": "list_cases", "/payouts": "list_payouts",
    "/tickets": "list_tickets", "/chargebacks": "list_chargebacks", "/receipts": "list_receipts",
    "/reports": "report_pass_rates", "/reports/{name}": "report_pass_rates", "/reports/liability": "report_owed",
    "/reports/liability/accounts": "list_funded_accounts",
    "/reconciliation": "get_reconciliation", "/macros": "list_macros", "/mails": "list_mails",
    "/product-drafts/{id}": "check_product_draft", "/product-drafts/{id}/impact": "list_impacts",
    "/platforms": "list_platforms", "/products": "list_products", "/messages": "list_parked_messages",
    "/risk": "list_queue",
    "/audit": "list_audit", "/search": "find_anything", "/api-keys": "list_keys",
    "/webhook-endpoints": "list_endpoints",
    "/queue": "list_queue", "/queue/changes": "list_queue", "/queue/export": "list_queue",
    "/queue/{kind}/{id}": "list_queue",
    "/challenges/{ref}": "get_challenge", "/buy": "list_products", "/buy/{product}": "preview_checkout",
    "/checkout/{id}": "get_challenge", "/receipts/{id}": "get_receipt", "/proofs/{proof}.json": "get_proof",
    "/proofs/{proof}": "get_proof", "/disputes/{id}/pack": "get_pack", "/breaches/{breach}": "get_breach",
    "/payouts/{id}": "get_payout", "/chargebacks/{id}": "get_chargeback", "/disputes/{id}": "get_dispute",
    "/compensations/{id}": "get_compensation", "/cases/{id}": "get_case", "/identity/{id}": "get_trader",
    "/beneficiaries/{id}": "get_beneficiary", "/sanction-hits/{id}": "get_sanction_hit",
    "/proposals/{id}": "get_proposal", "/proposals/{id}/words": "get_proposal", "/moves/{id}": "get_move",
    "/platform-changes/{id}": "get_platform_change", "/interventions/{id}": "get_intervention",
    "/policy-changes/{id}": "get_policy_change",
    "/staff-changes/{id}": "get_staff_change", "/breaks/{id}": "get_break", "/reviews/{id}": "get_review",
    "/risk/precision": "read_precision", "/risk/policy": "get_surveillance_policy", "/tickets/{id}": "get_ticket",
    "/traders/{id}": "get_trader", "/exposure": "get_exposure", "/exposure/figures": "get_exposure",
    "/products/{product}/{version}": "get_product_words", "/webhook-endpoints/{id}": "get_endpoint",
    "/accounts/{ref}/days": "list_days", "/accounts/{ref}/room": "get_standing",
    "/accounts/{ref}/statement.csv": "get_statement", "/accounts/{ref}/terms": "get_product_words",
    "/accounts/{ref}/trades": "list_trades", "/certificates": "list_certificates", "/compare": "list_products",
    "/accounts/{ref}/actions": "list_possible_actions", "/accounts/{ref}/actions/{name}": "list_possible_actions",
    "/workflows/{kind}/{id}": "get_payout_workflow",
    "/my/details": "get_trader", "/my/messages": "list_tickets",
    "/notifications": "list_notifications", "/notifications/choices": "list_choices",
    "/notifications/previews": "list_kinds", "/notifications/previews/{kind}": "preview_kind",
    "/decisions": "list_decisions",
    "/passes": "list_passes", "/queue/bulk": "preview_bulk", "/reconciliation/unreconciled": "list_unreconciled",
}  # fmt: skip
# What only a page can be, and why.
_EXCEPTIONS: Final = {
    **dict.fromkeys(("/static/{version}/{name:path}", "/docs", "/docs/{operation}"), "files and texts of the pages"),
    **dict.fromkeys(("/theme", "/live"), "how the pages look"),
    **dict.fromkeys(("/security/provider", "/security/provider/remove"), "an identity provider redirects a browser"),
    **dict.fromkeys(
        ("/sign-in/provider", "/sign-in/provider/return", "/sign-in/provider/invitation/{token}"),
        "an identity provider redirects a browser",
    ),
    **dict.fromkeys(("/rate/{token}", "/unsubscribe/{token}"), "the link of a mail, for somebody who is not signed in"),
    "/c/{token}": "the public page of a certificate",
    **dict.fromkeys(
        ("/sign-in", "/sign-up", "/forgot", "/recover", "/invited", "/confirm", "/bank-account"),
        "the form for an operation: it shows nothing",
    ),
    "/sign-in/second-factor": "the form for an operation: it shows nothing",
}


def _routes() -> set[tuple[str, str]]:
    """(method, path) of everything in the console."""
    nothing = cast("Any", None)
    router = console.router(ApiDeps(db=nothing, temporal=nothing, payments=nothing, public_url="http://firm.test"))
    return {
        (method, str(context.path))
        for context in iter_route_contexts(router.routes)
        for method in {*(getattr(context.original_route, "methods", None) or ())} - {"HEAD"}
    }


def test_every_action_and_page_of_the_console_has_its_operation() -> None:
    named = {each["operationId"] for *_, each in operations()}
    decided = {f"/{str(each.page).lstrip('/')}/{{id}}/decision" for each in SUBJECTS if each.verbs}
    posts, gets = ({path for way, path in _routes() if way == method} for method in ("POST", "GET"))
    assert posts - decided - set(_ACTIONS) - set(_EXCEPTIONS) == set()
    assert gets - set(_PAGES) - set(_EXCEPTIONS) == set()
    assert {*_ACTIONS, *_PAGES, *_EXCEPTIONS} - posts - gets == set(), "these are no longer there"
    assert {*_ACTIONS.values(), *_PAGES.values()} - named == set()


def test_every_verb_of_the_work_queue_is_an_operation() -> None:
    named = {each["operationId"] for *_, each in operations()}
    apart = {
        ("identity", "verify"): "decide_identity",
        ("identity", "refuse"): "decide_identity",
        ("product_version", "publish"): "publish_proposal",
    }
    missing = {
        (subject.name, verb.name)
        for subject in SUBJECTS
        for verb in subject.verbs
        if apart.get((subject.name, verb.name), f"{verb.name}_{subject.name}") not in named
    }
    assert missing == set()
