"""The words of the example products: sentences that a trader would misread, and slips that no product may have."""

import re
from typing import Final

import pytest

from domain.products.words import describe
from tests.shelf import shipped
from tests.unit.example_life import EXAMPLES

TEXTS: Final = {product.ref: describe(product).text for product in (*shipped(), *EXAMPLES.values())}
SLIPS: Final = (
    r"\b1 (minutes|hours|days|seconds|payouts|positions|trades)\b",
    r"None|\bTrue|\bFalse|[a-z]_[a-z]|  \w+  |\.\.|\( | \)|,,",
    r"at least 0\.00 [A-Z]{3,4} above",
    r"of the moment|before any\)|then at once",
)


@pytest.mark.parametrize("ref", TEXTS)
def test_no_text_has_a_slip(ref: str) -> None:
    text = re.sub(r'"[^"\n]*"', "", TEXTS[ref]).replace("(before any, the initial balance)", "")
    assert [found for slip in SLIPS for found in re.findall(slip, text.replace("\n  ", "\n"))] == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "crypto-day-peak",
            "Until the first reset it is the highest equity since the start, and at least the initial balance.",
        ),
        ("crypto-day-peak", "Every payout must wait 1 day after your first trade since the last payout."),
        ("futures-closing-judged", "You break the rule if your equity is beyond the limit then;"),
        (
            "futures-closing-judged",
            "60 % of the amount by which the highest balance at a daily reset exceeds the initial balance",
        ),
        (
            "futures-closing-judged",
            "A request, together with everything paid in the 7 days before it, may be at most 1,750.00 USD.",
        ),
        ("futures-closing-judged", "What does not count is not lost: it counts again after the next payout."),
        (
            "futures-intraday-safety-net",
            "At any moment, one open position may lose at most 30 % of the amount by which",
        ),
        ("futures-intraday-safety-net", "Close all positions 1 minute before the end of each session of CMES"),
        ("futures-intraday-safety-net", "For the first 5 payouts, a request may be at most 2,000.00 USD."),
        ("instant-smart-drawdown", "From payout 2 on: the balance must be at least the initial balance."),
        ("instant-tight-risk", "Before a payout you need at least 7 profitable days since the last payout was paid."),
        (
            "two-step-split-ladder",
            "offence 1: all positions are closed; from offence 2 on: the account is closed.",
        ),
        (
            "two-step-weekly-loss",
            "From the first daily reset of a week (00:00 Europe/London) to that of the next week, you may lose",
        ),
        (
            "two-step-weekly-loss",
            "the first reset of the week. Until a reset begins a week for the first time, the limit is measured from",
        ),
        ("two-step-weekly-loss", "From payout 4 on: a payout every 14 calendar days."),
        ("two-step-chosen-cycle", "The rules above that hold back a payout do not apply."),
        ("two-step-chosen-cycle", 'of the rules above that hold back a payout, only "best day" must be met.'),
        ("two-step-chosen-cycle", "Positions opened at least 5 hours before the release are free."),
        ("two-step-chosen-cycle", "a payout can be requested only on Tuesdays (Europe/Prague)"),
        ("three-step-stop-required", "a stop loss within 3 minutes of opening"),
        ("three-step-stop-required", "must limit the loss to 2 % of your current balance."),
        ("futures-instant-one-size", "More than 50 % of your closed trades must be held for longer than 10 seconds."),
        ("futures-payout-ladder", "the largest size of your simulated accounts."),
    ],
)
def test_a_sentence_says_what_binds(name: str, sentence: str) -> None:
    assert sentence in TEXTS[EXAMPLES[name].ref]
