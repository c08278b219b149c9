"""Accounts whose size is not that of their product, judged live on a real PostgreSQL, with their proof sheets."""

from typing import Any

import psycopg

from domain.products.product import Product
from domain.proofs.check import check
from tests.integration.recorded_feed import BREACHES, Script, two_step
from tests.integration.scripted_venue import ScriptedVenue, judge, on_record, rows


def _product(**payout: Any) -> Product:
    body = two_step().model_dump(mode="json")
    body["payout"] |= payout
    return Product.model_validate(body)


def _live(database_url: str, product: Product, size_minor: int, script: Script) -> list[tuple[object, ...]]:
    """Judges a funded account of this size by a story. Returns its breaches."""
    on_record(database_url, {1: (product, product.funded_index)})
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE accounts SET initial_minor = %s", (size_minor,))
    judge(database_url, ScriptedVenue(script.batches))
    return rows(database_url, BREACHES)


def _bought(deposit: int) -> Script:
    script = Script()
    script.tick("1.38000")
    if deposit:
        script.cash(1, "deposit", deposit)
    script.enable(1)
    script.deal(1, "p1", "10", "1.38000", "in")
    script.batch(flush=True)
    return script


def _falls(script: Script, *prices: str) -> Script:
    for price in prices:
        script.tick(price)
        script.batch()
    script.batch(flush=True)
    return script


def test_a_grown_account_is_judged_by_its_own_size(database_url: str) -> None:
    product = _product(scaling={"increase_pct": "25"})
    script = _bought(12_500_000)
    _falls(script, "1.37499", "1.37375", "1.37374")  # beyond the limit of 100,000; at its own limit; beyond it
    ((rule, offence, _, floor, equity, _),) = _live(database_url, product, 12_500_000, script)
    assert (rule, offence, floor, equity) == ("daily_loss", 1, 11_875_000, 11_874_000)
    ((sheet,),) = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(sheet, dict) and sheet["account"]["initial_minor"] == 12_500_000
    assert check(sheet) == []


def test_a_size_that_the_plan_cannot_reach_is_no_size_of_a_proof(database_url: str) -> None:
    script = _falls(_bought(12_600_000), "1.37000")
    _live(database_url, _product(scaling={"increase_pct": "25"}), 12_600_000, script)
    ((sheet,),) = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(sheet, dict)
    assert [difference.field for difference in check(sheet)] == ["account.initial_minor"]


def test_an_account_that_starts_at_zero_lives_and_ends(database_url: str) -> None:
    body = two_step().model_dump(mode="json")
    floor: dict[str, Any] = {"type": "max_loss_static", "id": "max_loss", "breach_when": "equity <= floor"}
    floor |= {"allowance": {"type": "amount", "value": "2000"}}
    body["funded"] |= {"initial_balance": "0", "rules": [floor]}
    body["payout"] |= {"gates": None, "caps": []}
    script = _falls(_bought(0), "1.37801", "1.37800")  # 1,990 and 2,000 are lost
    ((rule, _, _, level, equity, _),) = _live(database_url, Product.model_validate(body), 0, script)
    assert (rule, level, equity) == ("max_loss", -200_000, -200_000)
    ((sheet,),) = rows(database_url, "SELECT body FROM proofs")
    assert isinstance(sheet, dict) and sheet["account"]["initial_minor"] == 0
    assert check(sheet) == []
