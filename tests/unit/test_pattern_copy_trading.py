"""Copy trading: copiers with every evasion are found, and what looks alike without being a copy is not."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from domain.surveillance.evidence import Table
from domain.surveillance.findings import Finding
from surveillance.book import SECOND, Book
from surveillance.matching import NO_MARKS
from surveillance.pattern import Limits
from surveillance.patterns.copy_trading import CopyTrading, CopyTradingThresholds
from tests.books import Rows
from tests.crowds import DAY, HOUR, Trade, at_moments, crowd, times


def led(count: int = 20, seed: int = 5) -> list[Trade]:
    """What a leader does: sizes that change, trades of a quarter of an hour to three hours."""
    rng = np.random.default_rng(seed)
    sides, lots = rng.choice([-1, 1], count), rng.choice([0.5, 1.0, 1.5, 2.0], count)
    lasts = rng.uniform(900, 10_000, count)
    made = zip(times(rng, count), lasts.tolist(), sides.tolist(), lots.tolist(), strict=True)
    return [Trade(*each) for each in made]


def keep(rows: Rows, account: str, trades: list[Trade], owner: str = "", **told: object) -> None:
    rows.account(account, owner, **told)
    for each in trades:
        rows.trade(account, each.at, each.lasted, side=each.side, lots=each.lots)


def copied(trades: list[Trade], lag: float, ratio: float = 1.0, jitter: float = 0.0, seed: int = 9) -> list[Trade]:
    rng = np.random.default_rng(seed)
    return [
        replace(each, at=each.at + lag + float(rng.uniform(-jitter, jitter)), lots=each.lots * ratio) for each in trades
    ]


def judged(rows: Rows | Book, limits: Limits[CopyTradingThresholds] | None = None) -> tuple[Finding, ...]:
    book = rows.book() if isinstance(rows, Rows) else rows
    return CopyTrading(limits or Limits(CopyTradingThresholds())).judge(book).findings


def a_firm() -> Rows:
    rows = Rows()
    crowd(rows)
    return rows


def test_a_copier_is_found_with_its_model() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), 2.0, 0.5))
    (finding,) = judged(rows)
    assert finding.key == "copy_trading/leader"
    assert finding.sentence == (
        "follower copies leader: 20 of 20 trades opened about 2 seconds after the same trade of leader, at 0.50 times "
        "the size."
    )
    assert finding.in_role("leader") == ("leader",)
    assert finding.in_role("follower") == finding.blamed == ("follower",)
    assert finding.score > Decimal("0.9")
    assert (finding.relation, finding.severity) == ("stranger", "hold")
    assert len(finding.deals) == 40
    assert "pairs of accounts could have matched" in finding.chance
    assert any("close together" in each for each in finding.ruled_out)


@pytest.mark.parametrize(("lag", "jitter"), [(0.3, 0.1), (8.0, 5.0), (45.0, 25.0), (180.0, 40.0)])
def test_jitter_and_delay_do_not_hide_a_copier(lag: float, jitter: float) -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), lag, 0.7, jitter))
    (finding,) = judged(rows)
    assert finding.in_role("leader") == ("leader",)


def test_partial_copies_among_own_trades_are_found_and_the_own_trades_told() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    own = [replace(each, side=-each.side, at=each.at + 300) for each in led(18, seed=77)]
    keep(rows, "follower", sorted([*copied(led()[::2], 3.0, 1.3), *own], key=lambda each: each.at))
    (finding,) = judged(rows)
    assert finding.sentence.startswith("follower copies leader: 10 of 28 trades")
    (exculpatory,) = finding.exculpatory
    assert isinstance(exculpatory, Table)
    assert exculpatory.rows == (("follower", "18 of 28"),)


def test_who_copies_openings_only_and_closes_on_its_own_is_found() -> None:
    rows, rng = a_firm(), np.random.default_rng(6)
    keep(rows, "leader", led())
    keep(rows, "follower", [replace(each, lasted=float(rng.uniform(300, 9_000))) for each in copied(led(), 3.0, 0.5)])
    (finding,) = judged(rows)
    assert finding.in_role("follower") == ("follower",)


def test_two_strangers_who_answer_the_same_jump_of_the_price_are_spared() -> None:
    """One is always a tenth of a second quicker; each closes on its own. Who closes with the other is a copier."""
    for follows in (False, True):
        rows, rng = a_firm(), np.random.default_rng(6)
        jumps = [replace(each, lots=2.0) for each in led()]
        keep(rows, "quick", jumps)
        slow = copied(jumps, 0.1, jitter=0.04)
        keep(rows, "slow", slow if follows else [replace(t, lasted=float(rng.uniform(300, 9_000))) for t in slow])
        assert [each.blamed for each in judged(rows)] == ([("slow",)] if follows else [])


@pytest.mark.parametrize(("by_chance", "least"), [(0.99999, 0.0), (0.93, 0.0), (0.7, 0.9)])
def test_closes_that_go_together_by_chance_tell_nothing(by_chance: float, least: float) -> None:
    told = replace(NO_MARKS, closes=1.0, closes_by_chance=by_chance, compared_closes=14)
    assert told.closes_tell == (least > 0)
    assert least <= told.closes_follow <= (1.0 if least else 0.0)


def test_of_two_who_open_at_the_same_moment_the_older_account_leads() -> None:
    rows = a_firm()
    keep(rows, "younger", led(), opened=60.0)
    keep(rows, "older", copied(led(), 0.0, 0.5), opened=30.0)
    (finding,) = judged(rows)
    assert finding.in_role("leader") == ("older",)
    assert finding.in_role("follower") == ("younger",)


def test_split_legs_are_one_copy() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    rows.account("follower")
    for each in led():
        for leg in range(3):
            rows.trade("follower", each.at + 2 + leg, each.lasted, side=each.side, lots=each.lots / 3)
    (finding,) = judged(rows)
    assert finding.sentence.count("20 of 20 trades")
    assert "1.00 times the size" in finding.sentence
    assert len(finding.deals) == 20 + 60


def test_followers_of_one_leader_are_one_finding() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    for n, lag in enumerate((1.0, 4.0, 9.0)):
        keep(rows, f"follower{n}", copied(led(), lag, 0.5 + n))
    (finding,) = judged(rows)
    assert finding.in_role("leader") == ("leader",)
    assert sorted(finding.blamed) == ["follower0", "follower1", "follower2"]


def test_a_chain_leads_to_its_head() -> None:
    rows = a_firm()
    keep(rows, "head", led())
    keep(rows, "second", copied(led(), 5.0))
    keep(rows, "third", copied(copied(led(), 5.0), 6.0, 2.0))
    (finding,) = judged(rows)
    assert finding.in_role("leader") == ("head",)
    assert sorted(finding.blamed) == ["second", "third"]


def test_a_large_ring_does_not_make_its_own_meetings_ordinary() -> None:
    rows = Rows()
    crowd(rows, accounts=12)
    keep(rows, "leader", led())
    for n in range(15):
        keep(rows, f"follower{n}", copied(led(), 1.0 + n / 4, 0.5 + n / 10, jitter=0.1, seed=n))
    (finding,) = judged(rows)
    assert len(finding.blamed) == 15
    (followers,) = [each for each in finding.evidence if getattr(each, "title", "") == "Copying accounts"]
    assert isinstance(followers, Table)
    assert all(float(row[2]) < 1 for row in followers.rows)  # expected by chance, of 20


def test_copying_ones_own_account_is_noted_unless_the_product_forbids_it() -> None:
    rows = a_firm()
    keep(rows, "first", led(), "ann", product="strict")
    keep(rows, "second", copied(led(), 1.0, 0.5), "ann", product="strict")
    (noted,) = judged(rows)
    assert (noted.severity, noted.relation, noted.blamed) == ("note", "same_owner", ())
    assert noted.score < Decimal("0.5")
    strict = Limits(CopyTradingThresholds(), {"strict": CopyTradingThresholds(own_copying="scored")})
    (scored,) = judged(rows, strict)
    assert (scored.severity, scored.relation, scored.blamed) == ("hold", "same_owner", ("second",))
    assert judged(rows, Limits(CopyTradingThresholds(own_copying="ignored"))) == ()


def test_owners_tied_by_facts_are_linked() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), 1.0, 0.5))
    for account in ("leader", "follower"):
        rows.identity(account, "card", "4242")
        rows.identity(account, "device", "laptop")
    (finding,) = judged(rows)
    assert finding.relation == "linked"
    assert finding.link_strength > Decimal("0.9")


def test_the_clock_of_a_venue_does_not_turn_leader_and_follower_round() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), 2.0 - 5.0, 0.5))  # its venue's clock is five seconds behind
    book = rows.book()
    offsets = np.zeros(len(book.accounts), dtype=np.int64)
    offsets[book.accounts.id == "follower"] = -5 * SECOND
    (finding,) = judged(replace(book, clock_offset=offsets))
    assert finding.in_role("leader") == ("leader",)
    assert "about 2 seconds after" in finding.sentence


def test_accounts_at_venues_whose_clocks_are_not_known_are_not_compared_with_each_other() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), 2.0, 0.5))
    book = rows.book()
    unknown, group = np.zeros(len(book.accounts), dtype=np.int64), np.zeros(len(book.accounts), dtype=np.int32)
    group[book.accounts.id == "follower"] = 1
    apart = CopyTrading(Limits(CopyTradingThresholds())).judge(replace(book, clock_offset=unknown, clock_group=group))
    assert apart.findings == ()
    assert apart.cannot_judge is not None and "clock of a venue is not estimated" in apart.cannot_judge
    group[:] = 1  # all are at one venue
    together = CopyTrading(Limits(CopyTradingThresholds())).judge(
        replace(book, clock_offset=unknown, clock_group=group)
    )
    assert (len(together.findings), together.cannot_judge) == (1, None)


def test_a_mirror_is_no_copy() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "mirror", [replace(each, side=-each.side) for each in copied(led(), 2.0)])
    assert judged(rows) == ()


def test_a_cloud_round_a_signal_is_spared() -> None:
    """Ten followers of a channel: each takes some of the calls, after seconds of its own, half of them close at the
    channel's word."""
    rows, rng = a_firm(), np.random.default_rng(3)
    calls = led(30)
    for n in range(10):
        usual, own_close = 4.0 + 4 * n, n % 2
        taken = [
            Trade(
                each.at + float(rng.lognormal(np.log(usual), 0.4)),
                each.lasted * (float(rng.lognormal(0, 0.6)) if own_close else 1.0),
                each.side,
                float(np.round(rng.uniform(0.3, 2), 2)),
            )
            for each in calls
            if rng.random() < 0.7
        ]
        keep(rows, f"member{n}", taken)
    assert judged(rows) == ()


def test_users_of_one_expert_adviser_are_spared() -> None:
    """They open within a second of each other and close at the same moment; each takes some of the calls."""
    rows, rng = a_firm(), np.random.default_rng(4)
    for n in range(8):
        taken = [each for each in led(30) if rng.random() < 0.7]
        keep(rows, f"user{n}", copied(taken, 0.6, 0.2 + n / 5, jitter=0.5, seed=n))
    assert judged(rows) == ()


@pytest.mark.parametrize(
    ("moments", "spread"),
    [
        ([day * DAY + 13.5 * HOUR for day in range(10)], 25.0),  # a release every day
        ([day * DAY + hour * HOUR for day in range(10) for hour in (8, 9, 14)], 4.0),  # openings of candles
        ([day * DAY + (9 + 0.37 * day) * HOUR + 123 for day in range(10)], 0.2),  # limits at a round price
    ],
    ids=["news", "candles", "round prices"],
)
def test_busy_moments_are_no_surprise(moments: list[float], spread: float) -> None:
    rows = a_firm()
    at_moments(rows, moments, 12, 6, name="busy", spread=spread)
    assert judged(rows) == ()


def test_the_key_stays_when_a_follower_joins() -> None:
    rows = a_firm()
    keep(rows, "leader", led())
    keep(rows, "follower", copied(led(), 2.0, 0.5))
    (before,) = judged(rows)
    keep(rows, "another", copied(led()[8:], 3.0, 0.8))
    (after,) = judged(rows)
    assert before.key == after.key
    assert sorted(after.blamed) == ["another", "follower"]
