"""A database of an earlier version, with rows in it, brought to the newest one."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from domain.errors import Conflict
from store.migrate import current, upgrade
from tests import servers
from tests.integration.earlier_database import downgrade_to, upgrade_to, with_rows
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


_OLD = (
    # (state of the payout, provider's id, result of the intent) -> (state of the payout, state of its attempt)
    ("approved", None, None, "approved", "declared"),
    ("in_review", None, '{"refused": "No such bank."}', "in_review", "refused"),
    ("rejected", None, '{"released": "It had none."}', "rejected", "never_sent"),
    ("sent", "tr_1", '{"transfer_id": "tr_1"}', "sent", "sent"),
    ("paid", "tr_2", '{"transfer_id": "tr_2"}', "paid", "paid"),
    ("returned", "tr_3", '{"transfer_id": "tr_3"}', "released", "returned"),
)


def test_the_transfer_of_an_earlier_payout_is_its_first_attempt_under_the_key_that_the_provider_knows(
    earlier: str,
) -> None:
    upgrade_to(earlier, "0011")
    with_rows(earlier)
    upgrade_to(earlier, "0014")
    with psycopg.connect(earlier) as connection:
        connection.execute(
            "INSERT INTO users (id, login, login_index, name, password_hash, role, person_id, active)"
            " VALUES ('usr_1', '\\x00', 'x', '\\x00', 'x', 'trader', 'x', true)"
        )
        for number, (state, transfer_id, result, _, _) in enumerate(_OLD):
            connection.execute(
                "INSERT INTO accounts (id, challenge_id, trader_id, phase_index, attempt, product, version, platform,"
                " login, shard, clock_group, currency, initial_minor, status)"
                " VALUES (%s, 'chl_1', 'trd_1', %s, 1, 'p', 1, 'fake', %s, 0, 'UTC@00:00', 'USD', 1, 'active')",
                (f"acc_{number}", number, number),
            )
            connection.execute(
                "INSERT INTO payouts (id, account_id, challenge_id, trader_id, requested_by, state, gross_minor,"
                " trader_minor, firm_minor, currency, beneficiary, terms_digest, approvers_needed, checks,"
                " requested_at, was_held, transfer_id) VALUES (%s, %s, 'chl_1', 'trd_1', 'usr_1', %s, 9, 8, 1, 'USD',"
                " '\\x00', 'x', 1, '{}', %s, false, %s)",
                (f"pay_{number}", f"acc_{number}", state, WHEN, transfer_id),
            )
            connection.execute(
                "INSERT INTO intents (key, kind, payload, result)"
                """ VALUES (%s, 'transfer', '{"amount_minor": 8, "currency": "USD", "digest": "d"}', %s)""",
                (f"pay_{number}/transfer", result),
            )
    upgrade(earlier)
    with psycopg.connect(earlier) as connection:
        found = connection.execute(
            "SELECT p.state, t.state, t.id, t.provider_id, t.amount_minor, t.terms_digest, t.number, p.halted"
            " FROM payouts p JOIN payout_transfers t ON t.payout_id = p.id ORDER BY p.id"
        ).fetchall()
    assert found == [
        (
            payout,
            attempt,
            f"pay_{number}/transfer",
            transfer_id,
            8,
            "d",
            1,
            "The rail refused the transfer: No such bank." if attempt == "refused" else None,
        )
        for number, (_, transfer_id, _, payout, attempt) in enumerate(_OLD)
    ]


def _shape(url: str) -> list[tuple[object, ...]]:
    """Columns, constraints and indexes of all tables."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT table_name::text, column_name::text, data_type::text || is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' UNION ALL SELECT conrelid::regclass::text, conname::text,"
            " pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
            " UNION ALL SELECT tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " ORDER BY 1, 2, 3"
        ).fetchall()


def _add_case(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO alerts (id, key, detector, score, sentence, evidence, occurred_at) VALUES ('alr_1', 'k',"
            " 'copy_trading', 1, 's', '{\"follower\": \"acc_0\"}', %s)",
            (WHEN,),
        )
        connection.execute(
            "INSERT INTO cases (id, alert_id, state, opened_at) VALUES ('cas_1', 'alr_1', 'open', %s)", (WHEN,)
        )


def test_the_tables_of_cases_go_back_to_what_they_were_and_forward_again(earlier: str) -> None:
    upgrade_to(earlier, "0040")
    before = _shape(earlier)
    _add_case(earlier)
    for _ in range(2):
        upgrade_to(earlier, "0042")
        downgrade_to(earlier, "0040")
        assert _shape(earlier) == before
    upgrade(earlier)
    with psycopg.connect(earlier) as connection:
        assert connection.execute("SELECT family, state FROM cases").fetchall() == [("copying", "open")]


def test_the_tables_of_cases_do_not_go_back_once_a_case_ended_as_only_they_know(earlier: str) -> None:
    upgrade_to(earlier, "0040")
    _add_case(earlier)
    upgrade_to(earlier, "0042")
    with psycopg.connect(earlier) as connection:
        connection.execute("UPDATE cases SET state = 'warned'")
    with pytest.raises(DBAPIError, match="cannot hold"):
        downgrade_to(earlier, "0040")


def _add_compensation(url: str, state: str) -> None:
    """In a dispute without its own breach or case, as no version makes it."""
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "INSERT INTO coupons (code, terms, added_by, added_at) VALUES"
            " ('SPRING', '{\"code\": \"SPRING\", \"trader\": null}', 'x', %s) ON CONFLICT DO NOTHING",
            (WHEN,),
        )
        connection.execute(
            "INSERT INTO compensations (id, dispute_id, trader_id, account_id, amount_minor, currency, state, reason,"
            " message, proposed_by, proposed_at) VALUES (%s, %s, 'trd_1', 'acc_0', 5000, 'USD', %s, '\\x00', '\\x00',"
            " 'usr_1', %s)",
            (f"cmp_{state}", f"dsp_{state}", state, WHEN),
        )


def test_the_table_of_compensations_goes_back_and_forward_until_one_was_granted(earlier: str) -> None:
    upgrade_to(earlier, "0068")
    before = _shape(earlier)
    for _ in range(2):
        upgrade_to(earlier, "0069")
        _add_compensation(earlier, "rejected")
        downgrade_to(earlier, "0068")
        assert _shape(earlier) == before
        with psycopg.connect(earlier) as connection:
            assert connection.execute("SELECT terms FROM coupons").fetchall() == [({"code": "SPRING"},)]
    upgrade(earlier)
    _add_compensation(earlier, "granted")
    with pytest.raises(DBAPIError, match="cannot hold"):
        downgrade_to(earlier, "0068")
    assert current(earlier)[0] == current(earlier)[1]
