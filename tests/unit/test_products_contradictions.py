"""Definitions that contradict themselves are refused with file, line and field, and with what to write instead."""

from pathlib import Path
from typing import Final

import pytest

from adapters.calendars import known_venues
from domain.file_errors import ProductInvalid
from firm.products.shelf import SHELF, load_product

DAILY: Final = "phases.0.rules.0.daily_loss"


def _refused(folder: Path, product: str, old: str, new: str) -> tuple[list[str], int]:
    """(the rows of the refusal, the line of what was changed) of a shipped product with its first `old` replaced."""
    (source,) = SHELF.glob(f"{product}.v*.yaml")
    name, text = source.name, source.read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ProductInvalid) as caught:
        load_product(folder / name, known_venues)
    return caught.value.message.splitlines(), text[: text.index(old)].count("\n") + 1


# (product, what is replaced, by what, field, the remedy in words)
WRONG: Final = [
    # an operator is missing, or is none
    ("two-step", "        breach_when: equity < floor\n", "", f"{DAILY}.breach_when", "choose `equity < floor`"),
    ("two-step", "        breach_when: equity < floor\n", "", f"{DAILY}.breach_when", "or `equity <= floor`"),
    ("two-step", "        breach_when: equity < floor\n", "", f"{DAILY}.breach_when", "never assumed"),
    (
        "two-step",
        "breach_when: equity < floor",
        "breach_when: reached",
        f"{DAILY}.breach_when",
        "choose 'equity < floor' or 'equity <= floor'",
    ),
    (
        "one-step",
        '      limit_pct: "50"\n      compare: "<"\n',
        '      limit_pct: "50"\n',
        "funded.rules.5.best_day_ratio.compare",
        "choose '<' or '<=': say whether a value exactly at the limit passes",
    ),
    # levels that cannot be
    (
        "one-step",
        'lock: {offset: "0"}',
        'lock: {offset: "-4000"}',
        "phases.0.rules.1.max_loss_trailing.lock",
        "the lock lies below the first floor; raise the offset",
    ),
    (
        "crypto",
        'allowance: {type: pct_of_initial, value: "9"}',
        'allowance: {type: pct_of_initial, value: "109"}',
        "phases.0.rules.2.max_loss_static.allowance",
        "must lie between zero and the initial balance",
    ),
    (
        "one-step",
        'max_risk: {type: pct_of_initial, value: "2"}',
        'max_risk: {type: pct_of_initial, value: "200"}',
        "phases.0.rules.2.required_stop.max_risk.value",
        "at most 100 percent",
    ),
    (
        "futures-intraday",
        'amount: {type: amount, value: "6000"}',
        'amount: {type: amount, value: "200000"}',
        "funded.rules.4.daily_profit_cap.amount.value",
        "more than the whole account; use a smaller amount",
    ),
    (
        "three-step",
        'limit: {type: pct_of_daily_allowance, value: "50"}',
        'limit: {type: pct_of_daily_allowance, value: "2600"}',
        "funded.rules.4.max_loss_per_trade_idea.limit",
        "set a limit below the initial balance",
    ),
    ("swing", 'limit_pct: "45"', 'limit_pct: "145"', "funded.rules.5.best_day_ratio.limit_pct", "must be at most 100"),
    # targets and days beyond reach
    (
        "crypto",
        'target: {type: pct_of_initial, value: "9"}',
        'target: {type: pct_of_initial, value: "900"}',
        "phases.0.target",
        "daily_gain_cap caps the gains within the time limit below it; lower it or raise the cap",
    ),
    (
        "two-step",
        'target: {type: pct_of_initial, value: "8"}',
        'target: {type: pct_of_initial, value: "1001"}',
        "phases.0.target",
        "more than ten times the initial balance; lower it",
    ),
    ("crypto", "min_trading_days: 5", "min_trading_days: 46", "phases.0.min_trading_days", "limit of 45; lower it"),
    (
        "three-step",
        "        required: 4\n",
        "        required: 61\n",
        "phases.0.rules.4.trading_day_count.required",
        "more days than the time limit of 60; lower it",
    ),
    (
        "one-step",
        "min_trading_days: 0",
        "min_trading_days: 3",
        "phases.0.rules.5.trading_day_count.required",
        "set that to 0, or remove this rule",
    ),
    (
        "crypto",
        "    time_limit_days: 45\n",
        "",
        "phases.0.extension",
        "no time limit to extend; add time_limit_days, or remove the extension",
    ),
    (
        "two-step",
        "    time_limit_days: 30\n",
        "    free_retake: true\n",
        "phases.0.free_retake",
        "add time_limit_days, or remove the retake",
    ),
    (
        "two-step",
        "funded:\n  name: Funded\n",
        "funded:\n  name: Funded\n  time_limit_days: 9\n  free_retake: true\n",
        "funded.free_retake",
        "only an evaluation phase can be taken again; remove it",
    ),
    # two clocks for one purpose, or one for none
    (
        "swing",
        'loss_clock: {zone: America/New_York, reset: "17:00"}',
        'loss_clock: {zone: Europe/Prague, reset: "00:00"}',
        "loss_clock",
        "the same as the clock of the trading day; remove it",
    ),
    (
        "instant",
        'clock: {zone: UTC, reset: "00:30"}',
        'clock: {zone: UTC, reset: "00:30"}\nclock: {zone: UTC, reset: "01:30"}',
        "clock",
        "is set twice; keep one of them",
    ),
    (
        "futures-intraday",
        '        reopens: "17:00"\n',
        '        reopens: "17:00"\n        calendar: CMES\n',
        "phases.0.rules.1.flat_by.time",
        "by one of the two, not both",
    ),
    (
        "swing",
        "        calendar_days: 60\n",
        "        calendar_days: 60\n        trading_days: 60\n",
        "phases.0.rules.3.inactivity.calendar_days",
        "set one of the two, not both",
    ),
    ("two-step", "Europe/Prague", "Europe/Pragu", "clock.zone", "use an IANA name such as Europe/Prague"),
    (
        "one-step",
        "dst_of: America/New_York",
        "dst_of: America/Gotham",
        "clock.zone",
        "or {standard: +02:00, daylight: +03:00, dst_of: America/New_York}",
    ),
    ("one-step", ", dst_of: America/New_York", "", "clock.zone", "has standard, daylight and dst_of"),
    (
        "futures-intraday",
        "        zone: America/Chicago\n",
        "",
        "phases.0.rules.1.flat_by.zone",
        "a wall time needs its zone",
    ),
    # calendars that nobody knows
    (
        "futures-eod",
        "calendar: CMES",
        "calendar: CMEX",
        "phases.0.rules.2.flat_by.calendar",
        "there is no venue calendar 'CMEX'; use a name such as XMEX, CMES",
    ),
    (
        "futures-eod",
        "      trading_days: 10\n      calendar: CMES",
        "      trading_days: 10\n      calendar: MOON",
        "funded.rules.4.inactivity.calendar",
        "or a wall time with its zone",
    ),
    # consequences and gates that never bind
    (
        "futures-eod",
        "consequences: [{kind: close_position}, {kind: fail}]",
        "consequences: [{kind: fail}, {kind: close_position}]",
        "phases.0.rules.3.max_exposure.consequences",
        "make fail the last one",
    ),
    (
        "three-step",
        "blocks: [pass]",
        "blocks: [payout]",
        "phases.0.rules.4.trading_day_count.blocks",
        "blocks nothing; write blocks: [pass]",
    ),
    (
        "three-step",
        "      window: since_last_payout\n",
        "      window: since_last_payout\n      blocks: [pass]\n",
        "funded.rules.5.profitable_day_count.blocks",
        "blocks nothing; write blocks: [payout]",
    ),
    (
        "swing",
        '      counted_pct: "40"\n',
        "",
        "funded.rules.4.news_window.counted_pct",
        "say which share of the profit still counts",
    ),
    (
        "swing",
        "consequences: [{kind: deduct_profit}]",
        "consequences: [{kind: warn}]",
        "funded.rules.4.news_window.counted_pct",
        "it needs the consequence deduct_profit; add it or remove counted_pct",
    ),
    (
        "futures-eod",
        '        limit: "5"\n',
        "",
        "phases.0.rules.3.max_exposure.limit",
        "set one of the two, not both",
    ),
    (
        "futures-eod", '        - {max: "5"}\n', "", "funded.rules.3.max_exposure.tiers",
        "so that every profit has a limit",
    ),
    # payouts
    (
        "futures-intraday",
        'cap_per_request: "25000"',
        'cap_per_request: "400"',
        "payout.min_request",
        "lower it below the cap",
    ),
    (
        "futures-eod",
        'min_request: "500"',
        'min_request: "2500"',
        "payout.caps.0",
        "it is below min_request, so nothing can be requested; raise it",
    ),
    ("swing", "until: best_day", "until: best_dya", "payout.caps.0.until", "the funded phase has no gate 'best_dya'"),
    (
        "one-step",
        "split_pct: \"90\", gates: []",
        "split_pct: \"90\", gates: [inactivity]",
        "payout.cycles.1.gates",
        "name one of the phase, or add it",
    ),
    (
        "futures-eod",
        '  safety_net: {type: amount, value: "2100"}\n',
        "",
        "payout.safety_net",
        "a base that names it needs it, and no other base has it",
    ),
    # what nothing applies to a running account
    (
        "three-step",
        '  fee_refund: {pct: "100"}\n',
        '  fee_refund: {pct: "100"}\n  scaling: {increase_pct: "25", cap: "200000"}\n',
        "payout.scaling.cap",
        "already larger than the cap; raise the cap",
    ),
    (
        "three-step",
        '  fee_refund: {pct: "100"}\n',
        '  fee_refund: {pct: "100"}\n  goodwill_pct: "50"\n',
        "payout.goodwill_pct",
        "nothing is paid after a soft breach yet, so that it cannot be promised; remove it",
    ),
    (
        "three-step",
        '  fee_refund: {pct: "100"}\n',
        '  fee_refund: {pct: "100"}\n  scaling: {increase_pct: "25", profit_stays: true}\n',
        "payout.scaling.profit_stays",
        "a grown account starts at its size; remove it",
    ),
    (
        "instant",
        'fee: "1250"\n',
        'fee: "1250"\nfees: {activation: "149"}\n',
        "fees.activation",
        "the account is funded when it is bought; add the price to the fee",
    ),
    (
        "instant",
        'fee: "1250"\n',
        'fee: "1250"\nfees: {buyback: {type: pct_of_purchase, value: "0"}}\n',
        "fees.buyback",
        "nobody can pay nothing; leave it out, or set a price",
    ),
    (
        "instant",
        'fee: "1250"\n',
        'fee: "1250"\nfees: {monthly: "49"}\n',
        "fees.monthly",
        "nothing is charged monthly yet, so that its price cannot be promised; remove it",
    ),
    (
        "three-step",
        '  fee_refund: {pct: "100"}\n',
        '  fee_refund: {pct: "100"}\n  scaling: {increase_pct: "25", every_months: 0}\n',
        "payout.scaling.every_months",
        "the account would grow at once, again and again; set it, or ask for a profit or payouts",
    ),
    (
        "one-step",
        "  decision_days: 3\n",
        '  decision_days: 3\n  goodwill_pct: "50"\n',
        "payout.goodwill_pct",
        "nothing is paid after a soft breach yet, so that it cannot be promised; remove it",
    ),
    (
        "one-step",
        "      impacts: [high]\n",
        "      impacts: [high]\n      account_types: [swing]\n",
        "funded.rules.4.news_window.account_types",
        "all accounts of a product are of one type; remove it, and sell each type as a product of its own",
    ),
    # words that nobody knows
    ("two-step", "dispute_days: 14", "dispute_day: 14", "dispute_day", "did you mean dispute_days?"),
    (
        "two-step",
        "anchor: balance",
        "anchr: balance",
        f"{DAILY}.anchr",
        "did you mean anchor?",
    ),
    ("two-step", "        anchor: balance\n", "", f"{DAILY}.anchor", "it is missing; choose 'balance', 'equity',"),
    ("two-step", "type: daily_loss", "type: weekly_loss", "phases.0.rules.0", "no type 'weekly_loss'; choose one of"),
    ("two-step", "leverage: 100", "leverage: 10.5", "leverage", "is no whole number; write one without a fraction"),
    ("two-step", "dispute_days: 14", "dispute_days: soon", "dispute_days", "is no whole number"),
    ("two-step", 'fee: "540"', 'fee: "some"', "fee", "is no valid decimal number; write it in quotes"),
    ("two-step", "family: two-step", "family: two", "family", "choose 'one-step', 'two-step'"),
]  # fmt: skip


@pytest.mark.parametrize(("product", "old", "new", "field", "remedy"), WRONG)
def test_what_contradicts_itself_is_refused_with_its_remedy(
    tmp_path: Path, product: str, old: str, new: str, field: str, remedy: str
) -> None:
    rows, line = _refused(tmp_path, product, old, new)
    about = [row for row in rows if f" {field}: " in row]
    assert about, rows
    assert remedy in about[0]
    file, _, rest = about[0].partition(":")
    assert file.startswith(f"{product}.v")
    assert int(rest.split()[0]) >= 1
    if new and field.rsplit(".", 1)[-1] in old:
        assert abs(int(rest.split()[0]) - line) <= 3, (about[0], line)


def test_no_row_speaks_the_language_of_a_library(tmp_path: Path) -> None:
    for product, old, new, *_ in WRONG:
        rows, _ = _refused(tmp_path, product, old, new)
        assert not [row for row in rows if "Value error" in row or "Input should" in row or "pydantic" in row]


def test_calendars_are_not_loaded_for_a_product_that_names_none() -> None:
    def never() -> frozenset[str]:
        raise AssertionError("asked")

    assert load_product(SHELF / "two-step.v1.yaml", never).product == "two-step"
    with pytest.raises(AssertionError):
        load_product(SHELF / "futures-eod.v1.yaml", never)


def test_a_loss_clock_that_times_nothing_is_refused(tmp_path: Path) -> None:
    text = (SHELF / "one-step-futures.v1.yaml").read_text().replace("eod_balance_peak", "intraday_balance_peak")
    clock = 'clock: {zone: America/Chicago, reset: "17:00"}\n'
    path = tmp_path / "one-step-futures.v1.yaml"
    path.write_text(text.replace(clock, f'{clock}loss_clock: {{zone: UTC, reset: "22:00"}}\n'))
    with pytest.raises(ProductInvalid, match="loss_clock: no rule uses an anchor or an end-of-day peak"):
        load_product(path)
