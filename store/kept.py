"""Every table, and why it is kept as it is. docs/decisions/0050-growth.md says more of the least obvious ones.

Tables that `store.keeping` removes rows of are in neither of these: `store.held` shows them.
"""

from typing import Final

_LAW: Final = "Books and what was bought and paid: tax law and the law on money laundering ask for years"
_VERDICT: Final = "Verdicts and what they rest on: each can be checked again from its row, and disputed"
_WHO: Final = "Who did, saw or may do what: the record that audits ask for"
_CASE: Final = "What was found about trading, and what people decided of it"
_DESK: Final = "Conversations with traders: evidence in disputes and chargebacks"
_TERMS: Final = "What was in force when something was decided"

# Tables that grow and are never cut. None is in parts: a part could never be dropped, and the unique keys and foreign
# keys that keep money and verdicts from being doubled would have to hold the time as well.
FOR_EVER: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            *("traders", "trader_words", "challenges", "accounts", "account_live", "account_places", "scalings"),
            *("ledger_transactions", "postings", "ledger_periods", "open_lines", "provider_entries", "intents"),
            *("statement_balances", "reconciliation_breaks", "daily_closes", "exchange_rates", "receipts", "sales"),
            *("coupon_uses", "refunds", "chargebacks", "payouts", "payout_transfers", "payout_readings"),
            *("denied_payouts", "deducted_trades", "compensations", "beneficiaries", "identity_checks"),
            *("screenings", "screening_hits", "balance_operations", "interventions"),
        ),
        _LAW,
    ),
    **dict.fromkeys(
        (
            *("proofs", "history_points", "breaches", "phase_passes", "offences", "gate_standings", "warnings"),
            *("transitions", "decisions", "decision_requests", "corrections", "reviews", "certificates"),
            *("disputes", "dispute_words", "dispute_packs"),
        ),
        _VERDICT,
    ),
    **dict.fromkeys(
        (
            *("users", "staff_changes", "access_reviews", "audit_anchors", "audit_checks", "sealed_reasons"),
            *("account_notes", "account_freezes", "suspensions", "service_deadlines", "credentials", "step_ups"),
            *("provider_identities", "provider_invitations", "platform_stops", "ticket_looks"),
        ),
        _WHO,
    ),
    **dict.fromkeys(
        ("alerts", "cases", "case_accounts", "case_actions", "case_alerts", "case_notes", "exposure_standings"), _CASE
    ),
    **dict.fromkeys(
        (
            *("tickets", "ticket_messages", "ticket_clocks", "ticket_clock_events", "ticket_timers", "ticket_merges"),
            *("ticket_ratings", "ticket_fills", "desk_tickets", "desk_articles", "mail_addresses"),
        ),
        _DESK,
    ),
    **dict.fromkeys(
        (
            *("products", "product_proposals", "product_drafts", "draft_impacts", "account_moves"),
            *("account_move_rows", "platform_changes", "shard_moves", "shard_move_accounts"),
            *("payout_policies", "dispute_policies", "exposure_policies", "screening_policies", "service_policies"),
            *("surveillance_policies", "surveillance_proposals", "notification_texts", "news_releases"),
            *("sanctions_entries", "sanctions_names", "sanctions_keys", "sanctions_versions"),
        ),
        _TERMS,
    ),
}
# Tables that do not grow with time.
NOT_GROWING: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            *("account_ranks", "currencies", "ledger_accounts", "ledger_balances", "event_sources", "receipt_counters"),
            *("shards", "shard_peaks", "market_clock", "exposures", "exposure_now", "symbol_facts", "venue_clocks"),
            *(
                "venue_checks",
                "venue_limits",
                "removed_rows",
                "surveillance_cursors",
                "trader_clusters",
                "service_time",
            ),
            *("wakeups", "ticket_desks", "ticket_macros", "coupons", "webhook_endpoints", "webhook_secrets"),
            *("notification_choices", "saved_filters", "api_keys", "authenticators", "passkeys", "recovery_codes"),
            *("work_marks", "rate_buckets"),
        ),
        "One row for each thing that there is, changed in place",
    ),
    "attempts": "Removed after a day",
    "factor_challenges": "Removed when they expire, with the next one",
    "provider_visits": "Removed when they expire, with the next one",
    "proof_attempts": "Removed with the next right proof",
    "work_looks": "Removed when nobody looks any more",
    **dict.fromkeys(("what_ifs", "what_if_answers"), "Removed with the next question"),
}
