"""Checkpoints written while the shard judges on: in full, refused late, and never seen from an old owner."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import CheckViolation

from domain.errors import StaleEpoch
from monitor.columns.minute_bars import Bars
from monitor.record.background_writer import BackgroundWriter
from monitor.record.checkpoint_rows import CheckpointData, take_checkpoint
from monitor.record.minute_rows import MinuteRows, binary_bars
from store.live import claim_epoch, shard_record
from store.live_checkpoint import CheckpointRows, CheckpointWriter
from tests.integration.scripted_venue import rows
from tests.servers import as_owner
from tests.unit.kernel_play import a_shard, play

MINUTE = datetime(2026, 3, 6, 9, 1, tzinfo=UTC)


def taken(batch: int) -> CheckpointData:
    """A shard's state without anything of accounts, which need rows of their own."""
    firm, shard = a_shard()
    play(firm, shard, 50)
    shard.state.columns.stale[:] = shard.state.columns.peaked[:] = shard.state.columns.dirty[:] = False
    shard.state.columns.hot[:, -1] = 0
    return take_checkpoint(shard, 0, batch, "sandbox", whole=False)


def checkpoint(batch: int, **more: Any) -> CheckpointRows:
    return CheckpointRows(
        batch=batch, feed_name="sandbox", feed={"v": 1}, watermark=MINUTE, last_tick_at=MINUTE, **more
    )


def test_what_is_written_behind_is_stored_and_said_once(database_url: str) -> None:
    behind = BackgroundWriter(database_url, 0, claim_epoch(database_url, 0))
    behind.write(taken(7))
    assert behind.busy
    stored = behind.finish(lambda: None)
    assert stored is not None
    assert (stored.batch, stored.moves_waiting) == (7, False)
    assert behind.written() is None
    assert not behind.busy
    behind.close()
    assert rows(database_url, "SELECT batch FROM shards") == [(7,)]
    assert rows(database_url, "SELECT count(*) FROM exposures") == [(12,)]


def test_a_failure_behind_is_raised_where_it_is_asked_for(database_url: str) -> None:
    old = claim_epoch(database_url, 0)
    claim_epoch(database_url, 0)
    behind = BackgroundWriter(database_url, 0, old)
    behind.write(taken(7))
    with pytest.raises(StaleEpoch, match=f"epoch {old} may not write"):
        behind.finish(lambda: None)
    behind.close()
    assert rows(database_url, "SELECT batch FROM shards") == [(0,)]
    for table in ("exposures", "shard_peaks", "market_clock"):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(0,)], table


def with_bars(batch: int, accounts: int) -> CheckpointData:
    """The same with the bars of a minute, in blocks of 2,000."""
    numbers = np.arange(accounts, dtype=np.int64)
    bars = Bars(MINUTE, numbers, numbers, numbers + 2, numbers - 2, numbers + 1, numbers)
    ids = np.array([f"acc_{number}".encode() for number in range(accounts)])
    return replace(taken(batch), bars=[bars], account_ids=ids)


def test_bars_are_stored_ahead_of_their_checkpoint_and_again_after_a_failure(database_url: str) -> None:
    """A failure in the second block stands for a kill there: the checkpoint is not written, and a restart makes the
    same bars again."""
    behind = BackgroundWriter(database_url, 0, claim_epoch(database_url, 0))
    with psycopg.connect(as_owner(database_url), autocommit=True) as connection:
        connection.execute("ALTER TABLE equity_bars ADD CONSTRAINT fails CHECK (account_id <> 'acc_3000')")
        behind.write(with_bars(7, 4_500))
        with pytest.raises(CheckViolation):
            behind.finish(lambda: None)
        assert rows(database_url, "SELECT count(*) FROM equity_bars") == [(2_000,)]
        assert rows(database_url, "SELECT batch FROM shards") == [(0,)]
        connection.execute("ALTER TABLE equity_bars DROP CONSTRAINT fails")
    behind.write(with_bars(7, 4_500))
    behind.finish(lambda: None)
    behind.close()
    assert rows(database_url, "SELECT batch FROM shards") == [(7,)]
    assert rows(database_url, "SELECT count(*), min(low_minor), max(high_minor) FROM equity_bars") == [
        (4_500, -2, 4_501)
    ]


def test_a_stale_owner_stores_no_bars(database_url: str) -> None:
    old = claim_epoch(database_url, 0)
    claim_epoch(database_url, 0)
    behind = BackgroundWriter(database_url, 0, old)
    behind.write(with_bars(7, 10))
    with pytest.raises(StaleEpoch, match=f"epoch {old} may not write"):
        behind.finish(lambda: None)
    behind.close()
    assert rows(database_url, "SELECT count(*) FROM equity_bars") == [(0,)]


def held_by_a_verdict(connection: Connection[Any]) -> None:
    connection.execute("SELECT epoch FROM shards WHERE id = 0 FOR SHARE")


def test_verdicts_do_not_wait_for_a_checkpoint_that_is_being_written(database_url: str) -> None:
    """It asks for the shard's row last: while a verdict holds that, all the rest has already been done."""
    epoch = claim_epoch(database_url, 0)
    with psycopg.connect(database_url) as verdict, psycopg.connect(database_url, autocommit=True) as writing:
        held_by_a_verdict(verdict)
        figures = np.arange(10, dtype=np.int64).reshape(2, 5)
        minute = MinuteRows(MINUTE, np.array([b"acc_1", b"acc_22"]), figures)
        thread = threading.Thread(
            target=CheckpointWriter(writing, 0, epoch).write,
            args=(checkpoint(3, bars=binary_bars([minute]), peaks=b"12345678"),),
        )
        thread.start()
        deadline = time.monotonic() + 60
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        with psycopg.connect(database_url, autocommit=True) as other:
            while other.execute(waits, ("SELECT epoch%NO KEY UPDATE%",)).fetchone() != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            other.execute("SET lock_timeout = '2s'")
            other.execute("UPDATE exposures SET accounts = 0")
        assert rows(database_url, "SELECT count(*) FROM equity_bars") == [(0,)]
        verdict.commit()
        thread.join()
    assert rows(database_url, "SELECT * FROM equity_bars ORDER BY account_id") == [
        ("acc_1", MINUTE, 0, 1, 2, 3, 4),
        ("acc_22", MINUTE, 5, 6, 7, 8, 9),
    ]
    with psycopg.connect(database_url) as connection:
        assert shard_record(connection, 0).peaks == b"12345678"


def test_the_rest_of_a_minute_extends_what_is_stored_of_it(database_url: str) -> None:
    epoch = claim_epoch(database_url, 0)
    with psycopg.connect(database_url, autocommit=True) as connection:
        writer = CheckpointWriter(connection, 0, epoch)
        for batch, figures in enumerate(([100, 120, 90, 95, 100], [95, 110, -80, -70, 100]), start=1):
            minute = MinuteRows(MINUTE, np.array([b"acc_1"]), np.array([figures], np.int64))
            writer.write(checkpoint(batch, bars=binary_bars([minute])))
        later = MinuteRows(MINUTE + timedelta(minutes=1), np.array([b"acc_1"]), np.array([[1, 2, 3, 4, 5]], np.int64))
        writer.write(checkpoint(3, bars=binary_bars([later])))
    assert rows(database_url, "SELECT * FROM equity_bars ORDER BY minute") == [
        ("acc_1", MINUTE, 100, 120, -80, -70, 100),
        ("acc_1", MINUTE + timedelta(minutes=1), 1, 2, 3, 4, 5),
    ]
