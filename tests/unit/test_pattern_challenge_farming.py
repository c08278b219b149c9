"""Challenge farming: purchase after purchase bet on its first trades; unlucky and curious buyers are spared."""

from decimal import Decimal

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.challenge_farming import ChallengeFarming, ChallengeFarmingThresholds
from tests.books import Rows
from tests.crowds import DAY, HOUR, crowd

PATTERN = ChallengeFarming(Limits(ChallengeFarmingThresholds()))


def judged(rows: Rows) -> tuple[Finding, ...]:
    return PATTERN.judge(rows.book()).findings


def bet(rows: Rows, account: str, at: float, side: int, share: float = 0.9) -> None:
    """One trade of an hour that loses or wins this share of the daily limit of 5,000."""
    money = 5_000 * share * (1 if side > 0 else -1)
    rows.trade(account, at, HOUR, side=side, lots=10.0, profit=money, open_price=1.1, close_price=1.1 + money / 1e6)


def farm(rows: Rows, owners: tuple[str, ...], *, purchases: int = 6, apart: float = DAY / 2) -> None:
    """Buys in pairs, bets on both sides ten minutes later, and each account ends within two hours."""
    for n in range(purchases):
        opened = n // 2 * 2 * apart + n % 2 * 60
        rows.account(
            f"f{n}",
            owners[n % len(owners)],
            phase="phase 1",
            opened=opened,
            ended=opened + 2 * HOUR,
            outcome="breached" if n % 2 else "passed",
        )
        bet(rows, f"f{n}", opened + 600 + n % 2 * 30, 1 - 2 * (n % 2))


def trades_for_days(rows: Rows, account: str, opened: float, days: int, seed: int) -> None:
    """Three trades a day that each risk a twentieth of the daily limit."""
    rng = np.random.default_rng(seed)
    for n in range(3 * days):
        money = float(rng.choice([-250.0, 250.0]))
        at = opened + HOUR + n * 8 * HOUR
        rows.trade(account, at, HOUR, lots=0.5, profit=money, open_price=1.1, close_price=1.1 + money / 50_000)


def test_a_farm_of_one_owner_is_found() -> None:
    rows = Rows()
    crowd(rows)
    farm(rows, ("ann",))
    (finding,) = judged(rows)
    assert finding.key == "challenge_farming/f0"
    assert finding.sentence == (
        "Bought 6 challenges within 3 days: 3 risked at least 40 % of the daily loss limit on the first trade or day, "
        "6 opened opposite to another of these accounts, and 6 ended within 4 days or made at most 6 trades."
    )  # what the winners risked was not told: they had no stop
    assert (finding.relation, finding.severity) == ("same_owner", "hold")
    assert sorted(finding.blamed) == [f"f{n}" for n in range(6)]
    assert len(finding.deals) == 6
    assert finding.chance.startswith("1 of 41 traders")


def test_owners_who_share_card_and_device_farm_together() -> None:
    rows = Rows()
    crowd(rows)
    farm(rows, ("ann", "bob"))
    assert judged(rows) == ()
    for account in ("f0", "f1"):
        rows.identity(account, "card", "4242")
        rows.identity(account, "device", "laptop")
    (finding,) = judged(rows)
    assert finding.relation == "linked"
    assert finding.link_strength < 1


def test_bets_without_opposites_are_found_too() -> None:
    rows = Rows()
    for n in range(8):
        rows.account(f"f{n}", "ann", phase="phase 1", opened=n * DAY, ended=n * DAY + HOUR, outcome="breached")
        bet(rows, f"f{n}", n * DAY + 600, -1)
    (finding,) = judged(rows)
    assert "8 risked" in finding.sentence
    assert "0 opened opposite" in finding.sentence
    assert finding.score > Decimal("0.6")


def test_an_unlucky_rebuyer_is_spared() -> None:
    """Fails five times in nine days, after a day or two of ordinary trades each time."""
    rows = Rows()
    for n in range(5):
        opened = n * 1.8 * DAY
        rows.account(f"r{n}", "ann", phase="phase 1", opened=opened, ended=opened + 1.7 * DAY, outcome="breached")
        trades_for_days(rows, f"r{n}", opened, 3, n)
    assert judged(rows) == ()


def test_one_account_of_each_product_in_a_sale_is_spared() -> None:
    rows = Rows()
    for n, product in enumerate(("one-step", "two-step", "swing", "instant", "futures", "crypto")):
        rows.account(f"p{n}", "ann", phase="phase 1", product=product, opened=n * HOUR)
        trades_for_days(rows, f"p{n}", n * HOUR, 5, n)
    assert judged(rows) == ()


def test_a_phase_that_was_passed_into_is_no_purchase() -> None:
    rows = Rows()
    for n in range(3):
        opened = n * DAY
        for step, phase in enumerate(("evaluation", "evaluation again", "own money")):
            name = f"c{n}{step}"
            rows.account(
                name,
                "ann",
                challenge=f"c{n}",
                phase=phase,
                opened=opened + step * HOUR,
                ended=opened + (step + 1) * HOUR,
                outcome="passed",
            )
            bet(rows, name, opened + step * HOUR + 60, -1)
    assert judged(rows) == ()


def test_a_reset_is_a_purchase() -> None:
    rows = Rows()
    for n in range(8):
        rows.account(
            f"f{n}", "ann", challenge="c", phase="phase 1", opened=n * DAY, ended=n * DAY + HOUR, outcome="breached"
        )
        bet(rows, f"f{n}", n * DAY + 600, -1)
    assert len(judged(rows)) == 1


def test_accounts_without_a_named_owner_are_not_put_together() -> None:
    rows = Rows()
    for n in range(6):
        rows.account(f"f{n}", "x", phase="phase 1", opened=n * HOUR, ended=n * HOUR + 60, outcome="breached")
        rows.accounts[-1]["owner"] = ""
        bet(rows, f"f{n}", n * HOUR + 10, 1 - 2 * (n % 2))
    assert judged(rows) == ()


def eight_bets(phase: str, *, opened: bool = True, apart: float = DAY) -> Rows:
    rows = Rows()
    for n in range(8):
        told = {"opened": n * apart, "ended": n * apart + HOUR} if opened else {"opened": None}
        rows.account(f"f{n}", "ann", phase=phase, outcome="breached", **told)
        bet(rows, f"f{n}", n * apart + 600, -1)
    return rows


@pytest.mark.parametrize("phase", ["2-step phase 1", "Phase 1 of 2", "step_1_of_3", "evaluation_50k_2024", "1"])
def test_a_number_in_the_name_of_a_first_phase_does_not_make_it_a_later_one(phase: str) -> None:
    assert len(judged(eight_bets(phase))) == 1


@pytest.mark.parametrize("phase", ["2-step phase 2", "phase2", "Step_3 of 3", "Stage II", "2", "p2", "Verification"])
def test_a_later_phase_is_no_purchase(phase: str) -> None:
    assert judged(eight_bets(phase)) == ()


def test_without_a_time_of_opening_the_first_trade_stands_for_it() -> None:
    soon = PATTERN.judge(eight_bets("phase 1", opened=False, apart=HOUR).book())
    assert soon.findings[0].sentence.startswith("Bought 8 challenges within 1 day: 8 risked")
    late = PATTERN.judge(eight_bets("phase 1", opened=False, apart=30 * DAY).book())
    assert (late.findings, late.cannot_judge) == (
        (),
        "8 of 8 accounts have no time of opening: their first trade stands for it",
    )


def test_accounts_that_cannot_be_dated_or_measured_are_counted() -> None:
    rows = Rows()
    for n in range(6):
        rows.account(f"f{n}", "ann", phase="phase 1", opened=None, daily_loss=None)
    assert PATTERN.judge(rows.book()).cannot_judge == (
        "6 of 6 accounts have neither a time of opening nor a trade, and are left out; "
        "6 of 6 accounts have no daily loss limit to compare their bets with"
    )


def dead_within(rows: Rows, hours: float, trades: int, share: float) -> None:
    """Eight accounts in four days that each lose this share of the daily limit by equal trades until they end."""
    for n in range(8):
        opened = n * DAY / 2
        rows.account(f"f{n}", "ann", phase="phase 1", opened=opened, ended=opened + hours * HOUR, outcome="breached")
        for trade in range(trades):
            at = opened + 600 + trade * (hours - 1) * HOUR / trades
            money = -5_000 * share / trades
            rows.trade(f"f{n}", at, 60, lots=1.0, profit=money, open_price=1.1, close_price=1.1 + money / 1e5)


def test_accounts_that_die_on_their_first_day_are_farmed_without_one_large_bet() -> None:
    rows = Rows()
    dead_within(rows, 8, 4, 1.05)  # a quarter of the daily limit at a time
    (finding,) = judged(rows)
    assert "8 risked" in finding.sentence
    assert finding.severity == "hold"
    spread = Rows()
    dead_within(spread, 8, 9, 1.05)  # too many decisions for a bet, but none lived for a day
    (finding,) = judged(spread)
    assert "0 risked" in finding.sentence
    assert finding.severity == "review"


def test_accounts_that_live_for_two_days_are_not_farmed() -> None:
    rows = Rows()
    dead_within(rows, 44, 4, 1.05)
    assert judged(rows) == ()


def test_breached_after_two_trades_is_a_bet_though_no_limit_is_told() -> None:
    rows = Rows()
    for n in range(8):
        opened = n * DAY / 2
        told = {"opened": opened, "ended": opened + 3 * HOUR, "daily_loss": None, "outcome": "breached"}
        rows.account(f"f{n}", "ann", phase="phase 1", **told)
        bet(rows, f"f{n}", opened + 600, 1)
        bet(rows, f"f{n}", opened + 2 * HOUR, -1)
    (finding,) = judged(rows)
    assert "8 risked" in finding.sentence
