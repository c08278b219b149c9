"""Checkpoints of many accounts: what must be stored is, what can wait takes turns, peaks are never lost."""

import numpy as np

from cli.bench.firm import NoRecord, harmless, shard_of
from monitor.record.checkpoint_rows import AT_ONCE, checkpoint_rows
from tests.unit.kernel_play import ACCOUNTS, a_shard, play


def test_accounts_that_were_merely_marked_take_turns() -> None:
    firm, shard = a_shard()
    play(firm, shard, 300)
    stored: set[str] = set()
    for number in range(2 * ACCOUNTS // AT_ONCE):
        rows = checkpoint_rows(shard, 0, number + 1, "sandbox", whole=False)
        assert len(rows.live) <= AT_ONCE
        stored |= {row[0] for row in rows.live}
    assert len(stored) == ACCOUNTS


def test_an_account_that_changed_is_stored_at_once() -> None:
    firm, shard = a_shard()
    play(firm, shard, 50)
    shard.state.columns.dirty[:ACCOUNTS:2] = True
    changed = {shard.state.accounts[row].account_id for row in range(0, ACCOUNTS, 2)}
    assert changed <= {row[0] for row in checkpoint_rows(shard, 0, 1, "sandbox", whole=False).live}


def test_a_whole_checkpoint_leaves_nothing_waiting() -> None:
    firm, shard = a_shard()
    play(firm, shard, 300)
    rows = checkpoint_rows(shard, 0, 1, "sandbox")
    assert len(rows.live) == ACCOUNTS
    assert rows.peaks == b""


def test_peaks_that_wait_are_kept_and_come_back() -> None:
    firm, shard = a_shard()
    before = [shard.state.rules.get(a.row) for a in shard.state.accounts]
    play(firm, shard, 300)
    after = [shard.state.rules.get(a.row) for a in shard.state.accounts]
    moved = [row for row in range(ACCOUNTS) if before[row] != after[row]]
    assert len(moved) > 50
    rows = checkpoint_rows(shard, 0, 1, "sandbox", whole=False)
    in_rows = {row[0] for row in rows.live}
    again = shard_of(firm, (harmless(account) for account in firm.loaded()))
    found = again.state.rules.take_peaks(rows.peaks, lambda login: again.state.accounts.by_login(login).row)
    for row in moved:
        kept = again.state.rules.get(row) == after[row]
        assert kept or shard.state.accounts[row].account_id in in_rows
    assert set(found) == set(np.flatnonzero(shard.state.columns.peaked[:ACCOUNTS]).tolist())
    assert again.state.rules.take_peaks(rows.peaks, lambda login: None) == []
    assert NoRecord().load(1) is None
