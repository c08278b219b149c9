"""The tables that a shard writes."""

TABLES = {
    "breaches": "SELECT id, rule_id, offence, seq, occurred_at, floor_minor, equity_minor, status, locked_at IS NULL"
    " FROM breaches ORDER BY id",
    "passes": "SELECT id, seq, occurred_at, balance_minor FROM phase_passes ORDER BY id",
    "proofs": "SELECT id, digest FROM proofs ORDER BY id",
    "deals": "SELECT account_id, deal_id, seq, reason, fee_minor, stop_loss, take_profit, bid, ask, late, expert_id,"
    " comment FROM deals ORDER BY id",
    "order_events": "SELECT account_id, seq, at, order_id, symbol, side, lots, change, type, price FROM order_events"
    " ORDER BY account_id, seq",
    "stop_changes": "SELECT account_id, seq, at, position_id, stop_loss, take_profit FROM stop_changes"
    " ORDER BY account_id, seq",
    "operations": "SELECT account_id, key, seq FROM balance_operations ORDER BY id",
    "snapshots": "SELECT * FROM daily_snapshots ORDER BY account_id, day",
    "bars": "SELECT account_id, minute, open_minor, high_minor, low_minor, close_minor, balance_minor FROM equity_bars"
    " ORDER BY account_id, minute",
    "live": "SELECT account_id, at, balance_minor, equity_minor, trading_days, last_trading_day, floors, positions,"
    " rule_state FROM account_live ORDER BY account_id",
    "accounts": "SELECT id, status, ended_at FROM accounts ORDER BY id",
    "exposures": "SELECT * FROM exposures ORDER BY symbol",
    "reviews": "SELECT key, kind, detail FROM reviews ORDER BY key",
    "outbox": "SELECT key, topic, target, name FROM outbox ORDER BY key",
}
