"""Worked by hand: what a position is in currencies, one number for all of them, and limits with hysteresis."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from domain.errors import BadInput
from domain.exposure.figures import OwedPart, ShardFigures, SymbolPart
from domain.exposure.firm import CurrencyLine, basel_minor, merged
from domain.exposure.limits import standings
from domain.exposure.policy import ExposurePolicy, Level
from domain.exposure.shocks import Shock, check_known, ladder_of, parse, shocked, worths
from domain.exposure.symbols import Synonyms
from firm.exposure.policy import load_policy

AT = datetime(2026, 3, 6, 9, tzinfo=UTC)


def part(
    symbol: str, contract: int, quote: str, price: str, long: str = "0", short: str = "0", floating: int = 0
) -> SymbolPart:
    middle = Decimal(price)
    value = middle * contract * 100
    return SymbolPart(
        symbol=symbol,
        contract_size=Decimal(contract),
        quote_currency=quote,
        bid=middle - Decimal("0.0001"),
        ask=middle + Decimal("0.0001"),
        long_lots=Decimal(long),
        short_lots=Decimal(short),
        long_minor=int(Decimal(long) * value),
        short_minor=int(Decimal(short) * value),
        accounts=1,
        floating_minor=floating,
        slope_minor=0,
    )


def shard(*parts: SymbolPart) -> ShardFigures:
    return ShardFigures(
        platform="sandbox", at=AT, accounts=1, open_accounts=1, symbols=parts, groups=(), traders=(), nearest=(),
        owed=OwedPart(),
    )  # fmt: skip


def test_a_pair_a_metal_and_an_index_taken_apart() -> None:
    found = merged(
        [
            shard(
                part("EURUSD", 100_000, "USD", "1.10", long="1"),
                part("XAUUSD", 100, "USD", "2000", long="1"),
                part("US500", 1, "USD", "5000", short="3", floating=12_345),
            )
        ]
    )
    amounts = {line.currency: line.amount for line in found.currencies}
    # long 1 lot EURUSD: +100,000 EUR, -110,000 USD; long 1 lot gold: +100 oz, -200,000 USD; the index: its profit only
    assert amounts == {"EUR": 100_000, "XAU": 100, "USD": Decimal("-309876.55")}
    assert [line.kind for line in found.symbols if line.symbol == "US500"] == ["bucket"]
    assert found.basel_minor == 10_999_000 + 19_999_999  # at the bid: 100,000 EUR and 100 oz, in cents


def test_one_number_for_all_currencies() -> None:
    def line(currency: str, value: int) -> CurrencyLine:
        return CurrencyLine(currency=currency, amount=Decimal(value), value_minor=value)

    held = [line("EUR", 100), line("JPY", 200), line("GBP", -50), line("CHF", -150), line("XAU", -35), line("USD", 999)]
    assert basel_minor(held) == 335  # the larger of 300 and 200, plus 35


def test_synonyms_count_in_one_contract() -> None:
    names = Synonyms({"ES": ("MES",)})
    [line] = merged(
        [shard(part("ESZ6", 50, "USD", "5000", long="2"), part("MESZ6", 5, "USD", "5000", short="5"))], names
    ).symbols
    assert (line.symbol, line.contract_size) == ("ES", Decimal(50))
    assert (line.net_lots, line.gross_lots) == (Decimal("1.5"), Decimal("2.5"))
    assert line.names == ("ESZ6", "MESZ6")


def test_crosses_and_conversions_follow_the_named_pairs() -> None:
    quotes = {
        "EURUSD": (Decimal("1.0999"), Decimal("1.1001")),
        "USDJPY": (Decimal("149.99"), Decimal("150.01")),
        "EURJPY": (Decimal("164.98"), Decimal("165.02")),
        "US500": (Decimal("5000.0"), Decimal("5000.5")),
    }
    quoted_in = {"EURUSD": "USD", "USDJPY": "JPY", "EURJPY": "JPY", "US500": "USD"}
    moves = parse("EURUSD +10 %, USDJPY -20%")
    after = shocked(quotes, quoted_in, Shock(moves=moves), Synonyms({}))
    assert after["EURUSD"] == (Decimal("1.2099"), Decimal("1.2101")), "the spread stays"
    assert after["EURJPY"] == (Decimal("145.18"), Decimal("145.22"))  # 165 x 1.1 x 0.8 = 145.2
    assert after["US500"] == quotes["US500"]
    named = shocked(quotes, quoted_in, Shock(moves=moves, crosses="named", spread=Decimal(3)), Synonyms({}))
    assert named["EURJPY"] == (Decimal("164.94"), Decimal("165.06")), "only its spread widens"
    # without the dollar among them, the base keeps its value and the other moves: the franc in 2015
    assert worths({"EURCHF": Decimal(-20)}) == {"EUR": 1, "CHF": Decimal("1.25")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("XAUUSD", "no symbol with a percentage"),
        ("XAUUSD down 2 %", "no symbol with a percentage"),
        ("XAUUSD -2 %, XAUUSD 3 %", "named twice"),
        ("XAUUSD -100 %", "cannot move by -100"),
    ],
)
def test_a_shock_that_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        parse(text)
    assert refused.value.field == "shock" and refused.value.remedy


def test_moves_that_contradict_one_another_and_unknown_symbols_are_refused() -> None:
    with pytest.raises(BadInput, match="contradict"):
        worths(parse("EURUSD 1, USDJPY 1, EURJPY 5"))
    worths(parse("EURUSD 1, USDJPY 1, EURJPY 2.01"))
    with pytest.raises(BadInput, match="No platform quotes TSLA"):
        check_known(parse("TSLA 1"), ["EURUSD"])
    check_known(parse("EURCHF 1"), ["EURUSD"])
    assert [shock.moves for shock in ladder_of(["EURUSD", "USDJPY"])][:1] == [{"EURUSD": -5, "USDJPY": -5}]


def test_a_limit_is_kept_again_only_well_below_it() -> None:
    limit = {"id": "eur", "of": "symbol", "name": "EURUSD", "measure": "net", "soft": "100000", "hard": "200000"}
    policy = ExposurePolicy.model_validate({"limits": [limit]})
    level: Level = "inside"
    seen = []
    for lots in ("0.99", "1", "0.95", "2.1", "1.9", "1.7", "0.91", "0.89"):
        figures = merged([shard(part("EURUSD", 100_000, "USD", "1", short=lots))])
        [found] = standings(policy, figures, {("eur", "EURUSD"): level})
        level = found.level
        seen.append(level)
    assert seen == ["inside", "soft", "soft", "hard", "hard", "soft", "soft", "inside"]
    [gone] = standings(policy, merged([shard()]), {("eur", "EURUSD"): "hard"})
    assert gone.level == "inside", "what nobody holds any more is inside"


def test_the_shipped_policy_can_be_read_and_a_contradiction_is_named() -> None:
    assert {limit.of for limit in load_policy().limits} == {"symbol", "currency", "trader", "firm"}
    with pytest.raises(ValidationError, match="hard: it is not above soft"):
        ExposurePolicy.model_validate(
            {"limits": [{"id": "debt", "of": "firm", "measure": "owed", "soft": "2", "hard": "1"}]}
        )
    with pytest.raises(ValidationError, match="GOLD has two meanings"):
        ExposurePolicy.model_validate({"synonyms": {"XAUUSD": ["GOLD"], "GC": ["GOLD"]}})
