"""A database of an earlier version, with rows in it, brought to the newest one."""

from collections.abc import Iterator

import psycopg
import pytest

from domain.errors import Conflict
from store.migrate import current, upgrade
from tests import servers
from tests.integration.earlier_database import upgrade_to, with_rows
from tests.integration.scripted_venue import WHEN


@pytest.fixture
def earlier(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    servers.create_database(postgres_url, "earlier")
    yield servers.database_of(postgres_url, "earlier")
    servers.drop_database(postgres_url, "earlier")


def _add_payout(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (id, login, login_index, name, password_hash, role, person_id, active)"
            " VALUES ('usr_1', '\\x00', 'x', '\\x00', 'x', 'trader', 'x', true)"
        )
        connection.execute(
            "INSERT INTO payouts (id, account_id, challenge_id, trader_id, requested_by, state, gross_minor,"
            " trader_minor, firm_minor, currency, beneficiary, terms_digest, approvers_needed, checks, requested_at,"
            " was_held) VALUES ('pay_1', 'acc_0', 'chl_1', 'trd_1', 'usr_1', 'sent', 1, 1, 0, 'USD', '\\x00', 'x', 1,"
            " '[]', %s, false)",
            (WHEN,),
        )


def _names(url: str) -> tuple[object, ...]:
    """(provider of the challenge, platform and batch of the shard, rails of the payouts)"""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT c.provider, s.platform, s.batch, (SELECT array_agg(DISTINCT rail) FROM payouts)"
            " FROM challenges c, shards s"
        ).fetchall()
    assert len(found) == 1
    return found[0]


def _review_keys(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM reviews ORDER BY id").fetchall()]


def test_rows_without_any_name_belong_to_the_sandbox(earlier: str) -> None:
    upgrade_to(earlier, "0011")
    with_rows(earlier)
    upgrade(earlier)
    assert _names(earlier)[:3] == ("sandbox", "sandbox", 9)
    assert _review_keys(earlier) == ["sandbox/bad_tick/7", "sandbox/gap/7", "payment/7"], "as the monitor writes them"


@pytest.mark.parametrize(("entries", "inbox"), [(("x", "x"), ("x",)), ((), ("x",)), (("x",), ())])
def test_rows_keep_the_names_of_their_platform_and_provider(
    earlier: str, entries: tuple[str, ...], inbox: tuple[str, ...]
) -> None:
    upgrade_to(earlier, "0008")
    with_rows(earlier, platforms=("acme", "acme"), entries=entries, inbox=inbox)
    _add_payout(earlier)
    upgrade(earlier)
    assert _names(earlier) == ("x", "acme", 9, ["x"])
    assert _review_keys(earlier) == ["acme/bad_tick/7", "acme/gap/7", "payment/7"]
    with psycopg.connect(earlier) as connection:
        connection.execute("INSERT INTO shards (id, epoch, batch, owner) VALUES (1, 0, 0, '')")
        added = connection.execute("SELECT platform FROM shards WHERE id = 1").fetchall()
    assert added == [("sandbox",)], "the default of the schema is the same everywhere"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"platforms": ("sandbox", "acme")}, "2 platforms, acme, sandbox"),
        ({"entries": ("x", "y")}, "2 payment providers, x, y"),
        ({"entries": ("x",), "inbox": ("y",)}, "2 payment providers, x, y"),
    ],
)
def test_rows_with_two_names_stop_the_upgrade_and_nothing_changes(
    earlier: str, rows: dict[str, tuple[str, ...]], words: str
) -> None:
    upgrade_to(earlier, "0008")
    with_rows(earlier, **rows)
    with pytest.raises(Conflict, match=words) as refused:
        upgrade(earlier)
    assert "start the upgrade again" in str(refused.value.remedy)
    assert current(earlier)[0] == "0008"
