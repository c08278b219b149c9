"""Which venues a simulated firm can have, and what its settings say of them."""

from pathlib import Path

import pytest

from adapters.tradovate.platform import TradovatePlatform
from adapters.tradovate.settings import TradovateSettings
from cli.adapters import build_platforms, gateways
from cli.demo.opening import at_venue
from cli.secret_file import ensure_secrets
from cli.stack.venues import (
    KNOWN,
    TRADOVATE,
    account_names,
    check_venues,
    new_venues,
    platform_settings,
    remembered,
    with_venues,
)
from domain.errors import BadInput
from domain.keys import account_creation
from firm.products.shelf import SHELF, load_product
from settings import load

SYMBOLS = ("EURUSD", "XAUUSD")


@pytest.mark.parametrize(
    ("names", "symbols", "field", "remedy"),
    [
        (["sandbox", "mt6"], SYMBOLS, "--venues", ", ".join(KNOWN)),
        (["sandbox", "sandbox"], SYMBOLS, "--venues", "once"),
        ([TRADOVATE], SYMBOLS, "--venues", "sandbox,tradovate-fake"),
        (["sandbox", TRADOVATE], ("USDJPY",), "--symbols", "XAUUSD"),
    ],
)
def test_venues_that_cannot_be_are_refused(names: list[str], symbols: tuple[str, ...], field: str, remedy: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_venues(names, symbols)
    assert refused.value.field == field
    assert remedy in str(refused.value.remedy)


def test_the_sandbox_alone_needs_nothing_else() -> None:
    assert check_venues([], SYMBOLS) == check_venues(["sandbox"], SYMBOLS) == ()


def test_the_settings_of_a_firm_on_two_venues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_secrets(tmp_path)
    venues = new_venues([TRADOVATE])
    settings = with_venues(load(data_dir=tmp_path), venues, SYMBOLS, ["instant"])
    platforms = build_platforms(settings)
    assert platforms.for_new_account("instant").name == "sandbox"
    assert platforms.for_new_account("instant-tradovate-fake").name == "tradovate_fake"
    assert gateways(settings) == {"tradovate_fake": venues[0].gateway}
    (tmp_path / "run").mkdir()
    argv = venues[0].argv(tmp_path, settings, SYMBOLS)
    assert venues[0].desk_token not in " ".join(argv)
    assert (tmp_path / "run" / "tradovate_fake.json").stat().st_mode & 0o077 == 0
    assert platform_settings(settings)["platforms"]["tradovate_fake"]["symbols"] == "6EZ6,MGCZ6"
    with pytest.raises(BadInput, match="platforms of its own"):
        with_venues(settings, venues, SYMBOLS, [])


def test_a_folder_remembers_its_venues(tmp_path: Path) -> None:
    assert remembered(tmp_path, (), ("instant",)) == ((), ["instant"])
    assert not list(tmp_path.iterdir())
    assert remembered(tmp_path, (TRADOVATE,), ("instant",)) == ((TRADOVATE,), ["instant"])
    assert remembered(tmp_path, (), ()) == ((TRADOVATE,), ["instant"])


def test_the_accounts_of_a_challenge_are_known_by_the_names_that_the_adapter_gives() -> None:
    values = {
        "name": "n",
        "password": "p",
        "cid": "8",
        "sec": "s",
        "holder": "1",
        "templates": "*=1",
        "symbols": "ESZ6",
    }
    gateway = {"gateway": "http://127.0.0.1:1", "gateway_token": "t"}
    platform = TradovatePlatform("t", TradovateSettings.model_validate(values | gateway))
    names = account_names("chl_1", 2)
    assert names[platform.account_name(account_creation("chl_1", 2, 1))] == "chl_1/2"
    assert names[platform.account_name(account_creation("chl_1", 2, 2))] == "chl_1/2"


def test_a_product_is_sold_on_another_venue_on_the_same_terms() -> None:
    product = load_product(Path(SHELF) / "instant.v1.yaml")
    there = at_venue(product, TRADOVATE)
    assert (there.product, there.name) == ("instant-tradovate-fake", product.name)
    assert (there.funded, there.payout, there.clock) == (product.funded, product.payout, product.clock)
