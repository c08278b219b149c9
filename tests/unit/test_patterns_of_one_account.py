"""The patterns of one account over a thousand ordinary accounts."""

from surveillance.registry import default_patterns
from tests.ordinary_accounts import ordinary_accounts

PATTERNS = ("all_in", "day_padding", "grid", "martingale", "style_change", "tick_scalping")


def test_a_thousand_ordinary_accounts_give_at_most_one_finding() -> None:
    book = ordinary_accounts(1_000, seed=12).book()
    assert len(book.trades) > 20_000
    patterns = default_patterns()
    found = [finding.sentence for name in PATTERNS for finding in patterns[name].judge(book).findings]
    assert len(found) <= 1, found
