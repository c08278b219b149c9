"""Adapters are found by entry point, configured by variables of their own, and refused in one clear line."""

import json
import os
import re
from pathlib import Path

import pytest

from cli.adapters import build_payments, build_platforms, check, describe_platforms
from cli.secret_file import ensure_secrets
from cli.simulated import stripe_endpoints
from domain.errors import BadInput, NotConfigured
from settings import load
from tests.command_line import propos

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
SANDBOX = {
    "PROPOS_SANDBOX_TOKEN": "made-by-up",
    "PROPOS_WEBHOOK_SECRET": "also-made-by-up",
    "PROPOS_SANDBOX_STRIPE_SECRETS": "whsec_of_account,whsec_of_payees,whsec_of_thin",
}
TOY = {
    "PROPOS_PLATFORMS__TOY__SERVER": "mt.example.com:443",
    "PROPOS_PLATFORMS__TOY__MANAGER": "1001",
    "PROPOS_PLATFORMS__TOY__PASSWORD": "s3cret-of-the-manager",
}
RAILS = {
    f"PROPOS_{group}__{name}__{field}": value
    for group in ("ACQUIRERS", "RAILS", "STATEMENTS")
    for name in ("CARDS", "WIRE")
    for field, value in (
        ("ADAPTER", "sandbox"), ("URL", f"http://{name.lower()}"), ("TOKEN", "t"), ("WEBHOOK_SECRET", "a"),
    )
}  # fmt: skip


@pytest.fixture(autouse=True)
def third_party(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A firm of its own, where the toy's distribution is installed."""
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(THIRD_PARTY))


def given(monkeypatch: pytest.MonkeyPatch, *sets: dict[str, str], without: str = "", **changes: str) -> None:
    for name, value in {name: value for each in sets for name, value in each.items()}.items():
        if name != without:
            monkeypatch.setenv(name, value)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)


def test_without_any_configuration_the_sandbox_is_every_company(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX)
    settings = load()
    assert settings.uses_own_sandbox
    platforms, payments = build_platforms(settings), build_payments(settings)
    assert (list(platforms.by_name), platforms.default) == (["sandbox"], "sandbox")
    assert (sorted(payments.acquirers.by_name), payments.acquirers.default) == (["sandbox", "stripe"], "stripe")
    assert (sorted(payments.rails.by_name), payments.rails.default) == (["bank", "sandbox", "stripe"], "bank")
    assert sorted(payments.statements.by_name) == ["bank", "sandbox", "stripe"]


def test_the_default_of_what_is_new_can_be_chosen_among_the_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, PROPOS_DEFAULT_ACQUIRER="sandbox", PROPOS_DEFAULT_RAIL="stripe")
    payments = build_payments(load())
    assert (payments.acquirers.default, payments.rails.default) == ("sandbox", "stripe")


def test_one_configured_connection_leaves_nothing_simulated_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real acquirer `stripe` and a simulated rail `stripe` would share a cash account in the books."""
    given(monkeypatch, SANDBOX, TOY, PROPOS_ACQUIRERS__STRIPE__KEY="rk_test_0123456789abcdef")
    monkeypatch.setenv("PROPOS_ACQUIRERS__STRIPE__WEBHOOK_SECRETS", "whsec_0123456789")
    monkeypatch.setenv("PROPOS_STATEMENTS__STRIPE__KEY", "rk_test_0123456789abcdef")
    settings = load()
    assert not settings.uses_own_sandbox
    with pytest.raises(BadInput) as refused:
        build_payments(settings)
    assert refused.value.message == "PROPOS_DEFAULT_RAIL is not set, and 0 are configured for new payouts: none."


def test_the_simulated_stripe_signs_for_the_address_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, PROPOS_PUBLIC_URL="https://desk.example.com")
    endpoints = {endpoint.kind: endpoint for endpoint in stripe_endpoints(load())}
    assert {endpoint.url for endpoint in endpoints.values()} == {"https://desk.example.com/webhooks/payments/stripe"}
    assert endpoints["connect"].secret == "whsec_of_payees"
    assert not set(endpoints["account"].events) & set(endpoints["connect"].events)


def test_the_simulated_stripe_needs_three_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, PROPOS_SANDBOX_STRIPE_SECRETS="whsec_of_account")
    with pytest.raises(BadInput) as refused:
        build_payments(load())
    assert refused.value.field == "PROPOS_SANDBOX_STRIPE_SECRETS"
    assert "whsec_of_account" not in f"{refused.value.message} {refused.value.remedy}"


def test_secrets_of_an_earlier_version_stay_and_the_new_ones_are_added(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    known = {"sandbox_token": "a", "webhook_secret": "b", "payload_keys": "k1:c"}
    path.write_text(json.dumps(known))
    ensure_secrets(tmp_path)
    values = json.loads(path.read_text())
    assert known.items() <= values.items()
    assert len(set(values["sandbox_stripe_secrets"].split(","))) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    ensure_secrets(tmp_path)
    assert path.read_text() == before


def test_without_a_platform_and_without_a_sandbox_the_variables_are_named() -> None:
    with pytest.raises(BadInput, match="No trading platform is configured") as refused:
        build_platforms(load())
    assert refused.value.field == "PROPOS_PLATFORMS__<NAME>__<FIELD>"
    with pytest.raises(BadInput, match="No acquirer, payment rail or statement source is configured") as refused:
        build_payments(load())
    assert refused.value.field == "PROPOS_ACQUIRERS__<NAME>__<FIELD>"


def test_a_sandbox_that_is_configured_without_its_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROPOS_PLATFORMS__SANDBOX__URL", "http://127.0.0.1:8100")
    with pytest.raises(BadInput) as refused:
        build_platforms(load())
    assert refused.value.field == "PROPOS_SANDBOX_TOKEN"


async def test_an_adapter_of_another_package_is_found_and_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, TOY)
    settings = load()
    platforms = build_platforms(settings)
    assert platforms.default == "toy"
    assert await platforms.of("toy").healthy() == "toy at mt.example.com:443"
    assert await platforms.of("toy").create_account(key="k", group="g", currency="USD", leverage=1) == 1_001_000
    with pytest.raises(NotConfigured, match="'sandbox'"):
        platforms.of("sandbox")


def test_the_name_of_a_platform_is_the_firms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {name.replace("TOY", "EU_LIVE"): value for name, value in TOY.items()})
    monkeypatch.setenv("PROPOS_PLATFORMS__EU_LIVE__ADAPTER", "toy")
    assert build_platforms(load()).of("eu_live").name == "eu_live"


def test_the_sandbox_stays_beside_another_platform_with_the_settings_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, TOY, PROPOS_PLATFORMS__SANDBOX__ADAPTER="sandbox", PROPOS_DEFAULT_PLATFORM="toy")
    settings = load()
    assert settings.uses_own_sandbox
    platforms = build_platforms(settings)
    assert (sorted(platforms.by_name), platforms.default) == (["sandbox", "toy"], "toy")


def test_a_product_can_have_a_platform_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, TOY, SANDBOX, PROPOS_PLATFORMS__SANDBOX__ADAPTER="sandbox", PROPOS_DEFAULT_PLATFORM="sandbox")
    monkeypatch.setenv("PROPOS_PRODUCT_PLATFORMS", "instant=toy, two-step = sandbox")
    settings = load()
    platforms = build_platforms(settings)
    sold = {product: platforms.for_new_account(product).name for product in ("instant", "two-step", "another")}
    assert sold == {"instant": "toy", "two-step": "sandbox", "another": "sandbox"}
    assert {each.name: each.products for each in describe_platforms(settings)} == {
        "sandbox": ("two-step",),
        "toy": ("instant",),
    }
    assert "of instant on toy" in check(settings)


@pytest.mark.parametrize("wrong", ["instant=elsewhere", "instant", "=toy"])
def test_a_product_on_a_platform_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    given(monkeypatch, TOY, PROPOS_PRODUCT_PLATFORMS=wrong)
    with pytest.raises(BadInput, match="PROPOS_PRODUCT_PLATFORMS") as refused:
        build_platforms(load())
    assert "platforms: toy" in str(refused.value.remedy)


def test_a_platform_that_is_only_watched_stands_beside_the_one_of_new_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {name.replace("TOY", "SEEN"): value for name, value in TOY.items()}
    given(monkeypatch, TOY, seen, PROPOS_PLATFORMS__SEEN__ADAPTER="watched")
    described = describe_platforms(load())
    assert [(each.name, each.adapter, each.default) for each in described] == [
        ("seen", "watched", False),
        ("toy", "toy", True),
    ]
    assert "This venue cannot create accounts." in described[0].capabilities.in_words()
    assert "This venue keeps 90 days of deals." in described[1].capabilities.in_words()
    monkeypatch.setenv("PROPOS_DEFAULT_PLATFORM", "seen")
    with pytest.raises(BadInput) as refused:
        build_platforms(load())
    assert "'seen': This venue cannot create accounts." in refused.value.message
    assert refused.value.remedy == "Set PROPOS_DEFAULT_PLATFORM to one of toy."


@pytest.mark.parametrize(
    ("without", "changes", "field", "message", "remedy"),
    [
        (
            "PROPOS_PLATFORMS__TOY__PASSWORD",
            {},
            "PROPOS_PLATFORMS__TOY__PASSWORD",
            "PROPOS_PLATFORMS__TOY__PASSWORD is not set.",
            "Set PROPOS_PLATFORMS__TOY__PASSWORD.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__MANAGER": "ten"},
            "PROPOS_PLATFORMS__TOY__MANAGER",
            (
                "PROPOS_PLATFORMS__TOY__MANAGER is not valid: Input should be a valid integer, unable to parse string"
                " as an integer."
            ),
            "Correct PROPOS_PLATFORMS__TOY__MANAGER.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__SERVER": "s3cret-address"},
            "PROPOS_PLATFORMS__TOY__SERVER",
            "PROPOS_PLATFORMS__TOY__SERVER is not valid: Value error, ... has no port.",
            "Correct PROPOS_PLATFORMS__TOY__SERVER.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__PASSWRD": "s3cret"},
            "PROPOS_PLATFORMS__TOY__PASSWRD",
            "PROPOS_PLATFORMS__TOY__PASSWRD is no setting of this adapter.",
            (
                "The adapter knows PROPOS_PLATFORMS__TOY__SERVER, PROPOS_PLATFORMS__TOY__MANAGER,"
                " PROPOS_PLATFORMS__TOY__PASSWORD."
            ),
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__ADAPTER": "mt6"},
            "PROPOS_PLATFORMS__TOY__ADAPTER",
            (
                "There is no adapter 'mt6' in propos.platforms;"
                " installed: broken, ctrader, dxtrade, forgetful, mt5, sandbox, toy, toy-venue, tradovate, watched."
            ),
            "Install its package, or set PROPOS_PLATFORMS__TOY__ADAPTER to one of these.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__ADAPTER": "broken"},
            "PROPOS_PLATFORMS__TOY__ADAPTER",
            "The entry point 'broken' in propos.platforms names no Plugin.",
            "See docs/adding-a-platform.md.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__ADAPTER": "forgetful"},
            "PROPOS_PLATFORMS__TOY__ADAPTER",
            "The platform 'toy' cannot find a balance operation by its key: a payout could not be repaired.",
            "Use an adapter that can.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY__ADAPTER": "watched"},
            "PROPOS_DEFAULT_PLATFORM",
            (
                "New accounts cannot be opened on the platform 'toy': This venue cannot create accounts."
                " This venue cannot enable and disable the trading of an account."
                " This venue cannot pay into an account or take out of it."
                " This venue cannot find a payment into or out of an account by its key."
            ),
            "Configure a second platform for them.",
        ),
        (
            "",
            {"PROPOS_DEFAULT_PLATFORM": "mt5"},
            "PROPOS_DEFAULT_PLATFORM",
            "PROPOS_DEFAULT_PLATFORM is 'mt5', which is not configured for new accounts; configured: toy.",
            "Set PROPOS_DEFAULT_PLATFORM to one of them.",
        ),
        (
            "",
            {"PROPOS_PLATFORMS__TOY": "s3cret"},
            "PROPOS_PLATFORMS__TOY",
            "PROPOS_PLATFORMS__TOY is not a setting of an adapter.",
            "Write PROPOS_PLATFORMS__<NAME>__<FIELD>, the name in letters, digits and single underscores.",
        ),
    ],
)
def test_wrong_settings_are_refused_in_one_line_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, without: str, changes: dict[str, str], field: str, message: str, remedy: str
) -> None:
    given(monkeypatch, TOY, without=without, **changes)
    with pytest.raises(BadInput) as refused:
        build_platforms(load())
    assert (refused.value.field, refused.value.message, refused.value.remedy) == (field, message, remedy)
    assert refused.value.__cause__ is None
    assert "s3cret" not in f"{refused.value.message} {refused.value.remedy}"


def test_no_secret_of_an_adapter_is_printed_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, TOY)
    assert "s3cret" not in repr(load())
    assert "s3cret" not in load().model_dump_json()


def test_with_several_rails_somebody_says_which_is_used_for_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, RAILS, TOY, PROPOS_DEFAULT_ACQUIRER="cards")
    with pytest.raises(BadInput) as refused:
        build_payments(load())
    assert refused.value.message == "PROPOS_DEFAULT_RAIL is not set, and 2 are configured for new payouts: cards, wire."
    monkeypatch.setenv("PROPOS_DEFAULT_RAIL", "wire")
    payments = build_payments(load())
    assert (payments.acquirers.default, payments.rails.default) == ("cards", "wire")
    assert not load().uses_own_sandbox, "both are sandboxes elsewhere"


def test_a_child_process_is_given_what_the_adapters_need(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SANDBOX, TOY)
    environment = load().environment()
    assert {name: environment[name] for name in TOY} == TOY
    assert not set(SANDBOX) & set(environment), "a child reads them where we did"


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    environment = dict(os.environ) | TOY | {"PYTHONPATH": str(THIRD_PARTY), "PROPOS_PLATFORMS__TOY__MANAGER": "ten"}
    answer = propos("doctor", "--data", str(tmp_path), "--json", env=environment)
    checks = {check["name"]: check for check in json.loads(answer.stdout)["checks"]}
    assert (checks["adapters"]["status"], checks["adapters"]["remedy"]) == (
        "wrong",
        "Correct PROPOS_PLATFORMS__TOY__MANAGER.",
    )
    assert TOY["PROPOS_PLATFORMS__TOY__PASSWORD"] not in answer.stdout + answer.stderr


def test_a_sandboxs_webhooks_go_to_the_provider_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().own_provider("sandbox") == "sandbox"
    given(monkeypatch, RAILS, PROPOS_SANDBOX_URL="http://wire/")
    assert load().own_provider("sandbox") == "wire"
    monkeypatch.setenv("PROPOS_ACQUIRERS__FIRST__ADAPTER", "stripe")
    monkeypatch.setenv("PROPOS_ACQUIRERS__FIRST__URL", "http://wire/stripe")
    assert load().own_provider("stripe") == "first"


def test_the_page_on_adding_a_platform_shows_this_adapter() -> None:
    page = (THIRD_PARTY.parents[1] / "docs" / "adding-a-platform.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (points,) = re.findall(r"^```toml\n.*?\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = (THIRD_PARTY / "toy_venue.py").read_text().splitlines()
    assert len(lines) < 200, "the page says so"
    assert [line for line in code.splitlines() if line not in lines] == []
    named = points.strip().replace('"', "")
    assert named in (THIRD_PARTY / "toy_venue-1.0.dist-info/entry_points.txt").read_text()


def test_a_connection_that_moves_money_needs_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {name: value for name, value in RAILS.items() if not name.startswith("PROPOS_STATEMENTS__WIRE")})
    with pytest.raises(BadInput) as refused:
        build_payments(load(default_acquirer="cards", default_rail="wire"))
    assert refused.value.message == "'wire' moves money, and no statement source of that name is configured."


def test_the_variables_of_an_earlier_version_are_refused_with_the_new_names(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"PROPOS_PAYMENTS__CARDS__URL": "http://cards"})
    with pytest.raises(BadInput) as refused:
        load()
    assert "PROPOS_ACQUIRERS__" in str(refused.value.remedy)
    assert str(refused.value.field).lower() == "propos_payments__cards__url"
