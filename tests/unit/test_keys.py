"""Business keys keep their values: rows of years ago carry them."""

from datetime import UTC, date, datetime

import pytest

from domain import change_keys, keys, record_keys

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

VALUES = [
    # ids of rows
    (keys.account_id("chl_1", 0, 1), "acc_1y7n5nc53270x4syffwt6k5dqy"),
    (keys.account_id("chl_1", 0, 2), "acc_35yepqzr5edp54xgtb9mhza0eg"),
    (keys.breach_id("acc_1", 0, "max_loss", 1), "brc_6nyfs8xa7ve2hvfxpsk2f6tdcd"),
    (keys.offence_id("acc_1", 0, "max_loss", 1), "off_6nyfs8xa7ve2hvfxpsk2f6tdcd"),
    (keys.pass_id("acc_1", 0), "psg_6edzrnmw62xr5bzdwbkdepy640"),
    (keys.review_id("k/1"), "rev_46164z14mtx780me6ds1n1v2sp"),
    (keys.alert_id("k/1"), "alr_46164z14mtx780me6ds1n1v2sp"),
    (keys.chargeback_id("stripe", "dp_1"), keys.derived_id("cbk", "stripe", "dp_1")),
    (keys.screening_id("trd_1", "d", "n"), keys.derived_id("scr", "trd_1", "d", "n")),
    (keys.sanction_hit_id("trd_1", "un", "r", "d", "n"), keys.derived_id("sht", "trd_1", "un", "r", "d", "n")),
    (keys.sanction_hit_decided("sht_1", "cleared"), "sht_1/cleared"),
    (keys.case_id("k/1"), "cas_46164z14mtx780me6ds1n1v2sp"),
    (keys.violation_proof("acc_1", 0, "max_loss", 1), "prf_6nyfs8xa7ve2hvfxpsk2f6tdcd"),
    (keys.pass_proof("acc_1", 0), "prf_58nd9wmxq7w82d0bgt9qz29w3e"),
    (keys.gate_proof("acc_1", 0, "best_day", AT), "prf_2m3dgegpyh2vmn1czghv9j8w3e"),
    (keys.refusal_proof("acc_1", "abc"), "prf_72a0h6ay8vmn21avasehc2pnsr"),
    (keys.statement_posting("bank", "en_1"), "stm_6fm1a4shqk68vc2s2y6cvqj2cz"),
    # messages, and causes for which payouts are judged again
    (keys.start_message("payout/pay_1"), "start/payout/pay_1"),
    (keys.restart_message("challenge/chl_1", 2), "restart/challenge/chl_1/2"),
    (keys.wakeup_message("payout/pay_1", AT), "wakeup/payout/pay_1/1767323045.000000"),
    (keys.lock_message("brc_1"), "lock/brc_1"),
    (keys.close_message("off_1"), "close/off_1"),
    (keys.resume_message("off_1"), "resume/off_1"),
    (keys.breach_message("brc_1"), "breach/brc_1"),
    (keys.overturned_breach("brc_1"), "breach/brc_1/overturned"),
    (keys.pass_message("psg_1"), "pass/psg_1"),
    (keys.provider_event("stripe", "evt_1"), "stripe/evt_1"),
    (keys.odd_entry("en_1"), "odd-entry/en_1"),
    (keys.inbox_message("stripe/evt_1"), "inbox/stripe/evt_1"),
    (keys.transfer_message("stripe/evt_1"), "transfer/stripe/evt_1"),
    (keys.risk_message("pay_1", "cas_1/opened"), "risk/pay_1/cas_1/opened"),
    (keys.identity_message("chl_1", "req"), "identity/chl_1/req"),
    (keys.identity_decision("trd_1", "req"), "identity/trd_1/req"),
    (keys.case_event("cas_1", "confirm"), "cas_1/confirm"),
    (keys.case_closes("cas_1", "chl_1"), "cas_1/closes/chl_1"),
    (keys.correction_alert("sandbox", 7, "prf_1"), "correction/sandbox/7/prf_1"),
    (keys.dispute_event("dsp_1", "reinstate"), "dispute/dsp_1/reinstate"),
    (keys.dispute_decision("req"), "decision/req"),
    (keys.reinstated_message("dsp_1"), "reinstated/dsp_1"),
    (keys.review_closed("rev_1"), "rev_1/closed"),
    (keys.review_wakes("rev_1"), "rev_1/wakes"),
    (keys.chargeback_event("cbk_1", 2), "cbk_1/2"),
    (keys.chargeback_answer("cbk_1"), "cbk_1/answer"),
    (keys.chargeback_answer("cbk_1", 2), "cbk_1/answer/2"),
    (keys.suspension("acc_1", 2, "restore"), "acc_1/restore/2"),
    (keys.case_ticket("cas_1", "trd_1"), keys.derived_id("tkt", "cas_1", "trd_1")),
    (keys.dispute_ticket("dsp_1"), keys.derived_id("tkt", "dsp_1")),
    (keys.dispute_ticket("cmp_1", "chl_1"), keys.derived_id("tkt", "cmp_1", "chl_1")),
    (keys.told_ticket("plc_1"), keys.derived_id("tkt", "plc_1")),
    (keys.departure_proof("plc_1"), keys.derived_id("prf", "plc_1", "departure")),
    (keys.credential_id("acc_1", 2), keys.derived_id("crd", "acc_1", 2)),
    (keys.credentials_message("acc_1"), "credentials/acc_1"),
    (keys.close_again_message("acc_1", "d1"), "close/acc_1/d1"),
    (keys.venue_limits("acc_1", "opened"), "limits/acc_1/opened"),
    (change_keys.hint("plc_1", "shut"), "platform_change/plc_1/shut"),
    (change_keys.account("plc_1"), "plc_1/account"),
    (change_keys.deposit("plc_1"), "plc_1/deposit"),
    (change_keys.returned("plc_1"), "plc_1/returned"),
    (record_keys.new_rates(7), "rates/7"),
    (record_keys.refund_freeze("chl_1/refund"), "chl_1/refund/freeze"),
    # reviews
    (record_keys.restarted_review("payout/pay_1"), "restarted/payout/pay_1"),
    (record_keys.stuck_review("payout/pay_1"), "stuck/payout/pay_1"),
    (record_keys.unread_source("bank"), "source/bank"),
    (record_keys.waiting_review("payout/pay_1"), "waits/payout/pay_1"),
    (record_keys.nudge("payout/pay_1", 7), "nudge/payout/pay_1/7"),
    (record_keys.repeated_review("stuck/payout/pay_1", "2026-01-02"), "stuck/payout/pay_1/2026-01-02"),
    (record_keys.dropped_review("payout/pay_1", "unreadable"), "dropped/payout/pay_1/unreadable"),
    (record_keys.missed_reset_review("acc_1", date(2026, 1, 2)), "missed_reset/acc_1/2026-01-02"),
    (record_keys.late_clock("tkt_1", "resolution", 2), "late/tkt_1/resolution/2"),
    (record_keys.webhook_review("whk_1", "2026-01-02"), "webhook/whk_1/2026-01-02"),
    (record_keys.mail_message("mai_1"), "mail/mai_1"),
    (record_keys.mail_flood_review("abc", "2026-01-02T03"), "mail_flood/abc/2026-01-02T03"),
    (record_keys.untold_review("account.breached", date(2026, 1, 2)), "untold/account.breached/2026-01-02"),
    (record_keys.other_customer_review("tkt_1", 1), "other_customer/tkt_1/1"),
    (record_keys.desk_ticket("tkt_1", 1), "ticket/tkt_1"),
    (record_keys.desk_ticket("tkt_1", 2), "ticket/tkt_1/2"),
    (record_keys.desk_message("msg_1"), "message/msg_1"),
    (record_keys.desk_note("tkt_1", 1), "note/tkt_1/1"),
    (record_keys.desk_copy("tkt_1"), "desk/tkt_1"),
    (record_keys.desk_copy("tkt_1", "msg_1"), "desk/tkt_1/msg_1"),
    (record_keys.doubtful_articles_review("tkt_1", "17"), "doubtful_articles/tkt_1/17"),
    (record_keys.desk_poll("7", datetime(2026, 1, 2, tzinfo=UTC)), "poll/7/2026-01-02T00:00:00+00:00"),
    (record_keys.offence_review("off_1"), "offence/off_1"),
    (record_keys.payment_review("chargeback", "chl_1"), "chargeback/chl_1"),
    (record_keys.payment_review("unclear_refund", "chl_1", "2"), "unclear_refund/chl_1/2"),
    (keys.reset_balance("off_1"), "reset_balance/off_1"),
    # steps
    (record_keys.counted_step(3, "risk_clear"), "3/risk_clear"),
    (record_keys.phase_start("acc_1"), "start/acc_1"),
    (record_keys.phase_expired("acc_1"), "expired/acc_1"),
    (record_keys.challenge_replaced("chl_1"), "replaced/chl_1"),
    (record_keys.intervention("itv_1"), "intervention/itv_1"),
    (record_keys.carried_out_by("intervention/itv_1"), "itv_1"),
    (record_keys.carried_out_by("adjust/itv_1"), "itv_1"),
    (record_keys.challenge_closed("cas_1"), "closed/cas_1"),
    (record_keys.adjustment("itv_1"), "adjust/itv_1"),
    (keys.told_ticket("itv_1"), keys.derived_id("tkt", "itv_1")),
    (keys.reset_balance("off_1"), "reset_balance/off_1"),
    (record_keys.account_grown("acc_1", 1), "grown/acc_1/1"),
    (record_keys.phase_extension("req"), "extension/req"),
    (record_keys.phase_identity(1), "identity/1"),
    (record_keys.reinstatement("dsp_1"), "reinstate/dsp_1"),
    (record_keys.window_over("brc_1"), "window/brc_1"),
    (record_keys.refund_step("req"), "refund/req"),
    (record_keys.refund_refused("chl_1/refund"), "refused/chl_1/refund"),
    # calls and intents
    (keys.after_refusals("acc_1/passed", 0), "acc_1/passed"),
    (keys.after_refusals("acc_1/passed", 1), "acc_1/passed/try/2"),
    (keys.first_try(keys.after_refusals("acc_1/passed", 1)), "acc_1/passed"),
    (keys.first_try("acc_1/passed"), "acc_1/passed"),
    (keys.checkout("chl_1"), "chl_1/checkout"),
    (keys.checkout_expiry("chl_1"), "chl_1/expire"),
    (keys.refund("chl_1", 1), "chl_1/refund"),
    (keys.refund("chl_1", 2), "chl_1/refund/2"),
    (keys.account_creation("chl_1", 0, 1), "chl_1/0"),
    (keys.account_creation("chl_1", 0, 2), "chl_1/0/2"),
    (keys.initial_deposit("acc_1"), "acc_1/initial"),
    (keys.trading("acc_1", "enable"), "acc_1/enable"),
    (keys.account_lock("acc_1", "passed"), "acc_1/passed"),
    (keys.goodwill("dsp_1"), "dispute/dsp_1"),
    (keys.payout_hold("pay_1"), "pay_1/hold"),
    (keys.payout_release("pay_1"), "pay_1/release"),
    (keys.payout_forfeit("pay_1"), "pay_1/forfeit"),
    (keys.payout_closes("pay_1"), "pay_1/closes"),
    (keys.payee("trd_1", "stripe"), "trd_1/payee/stripe"),
    (keys.released("pay_1/hold"), "pay_1/release"),
    (keys.payout_undo("pay_1"), "pay_1/undo"),
    (keys.back("pay_1/hold"), "pay_1/hold/back"),
    (keys.transfer("pay_1", 1), "trf-2gryrh54jnaxvdr6d4t3y9rb4d"),
    (record_keys.stray_transfer_review("trf-1"), "stray_transfer/trf-1"),
    (keys.payout_settled("pay_1"), "pay_1/settled"),
    (record_keys.freeze_message("frz_1"), "freeze/frz_1"),
]


@pytest.mark.parametrize(("made", "value"), VALUES)
def test_a_key_has_the_value_that_it_always_had(made: str, value: str) -> None:
    assert made == value


def test_every_key_has_an_example_here() -> None:
    named = {
        name
        for module in (change_keys, keys, record_keys)
        for name, found in vars(module).items()
        if callable(found) and found.__module__ == module.__name__
    }
    with open(__file__) as source:
        text = source.read()
    missing = {
        name for name in named - {"new_id", "derived_id"} if not name.startswith("_") and f"keys.{name}(" not in text
    }
    assert missing == set()
