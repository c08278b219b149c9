"""A damaged statement is refused with a reason, or judged: no file ends in a traceback."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.statements.csv_reader import Assumed
from adapters.statements.read import read_statement
from domain.errors import PropOSError
from domain.histories.what_if import judge
from tests.shelf import shipped
from tests.statement_pages import BOOK, GERMAN, mt4, mt5
from tests.statement_tables import mt5_workbook
from tests.unit.statement_samples import CTRADER, DXTRADE, MQL5, MYFXBOOK, NINJATRADER, TOPSTEPX, TRADOVATE

PRODUCT = next(product for product in shipped() if product.product == "two-step")
DEAL = "2025.03.03 09:00:00|301|EURUSD|buy|in|1.00|1.05|201|-3.45|0.00|0.00|0.00|9996.55|"
MONEY = "2025.03.03 08:00:00|101||balance|||||0.00|0.00|0.00|10000.00|10000.00|"
POSITION = "2025.03.03 09:00:00|201|EURUSD|buy|1.00|1.05|||2025.03.03 11:00:00|1.051|-6.90|0.00|100.10"
WRITTEN: tuple[bytes, ...] = (
    *(mt5(BOOK, language).encode("utf-16") for language in (GERMAN,)),
    mt4(BOOK).encode("cp1252"),
    mt5_workbook([MONEY, DEAL], [POSITION]),
    *(text.encode() for text in (TRADOVATE, TOPSTEPX, NINJATRADER, CTRADER, DXTRADE, MYFXBOOK, MQL5)),
)
TOKENS = (
    *("", "0", "-1", "1e999", "NaN", "Infinity", "-0", "9" * 40, "0.00000000000000001", "()", "$", "²", "١"),
    *(
        "2025.13.45 99:99:99",
        "0001.01.01 00:00:00",
        "in/out",
        "out",
        "balance",
        "credit",
        "<td>",
        "</table>",
        "\x00",
        "\ud7ff",
    ),
    *(";", ",", "\n", '"', "\t", "|", "colspan=99999", "USDT", "XXX", "é", "名", "\u202e"),
)


def damaged(raw: bytes, seed: int) -> bytes:
    """Returns `raw` with a few random cuts, repeats and strange words."""
    rng = random.Random(seed)
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 7, 40, 200))
        action = rng.randrange(5)
        if action == 0:
            del data[at : at + length]
        elif action == 1:
            data[at:at] = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
        elif action == 2:
            data[at : at + length] = rng.choice(TOKENS).encode("utf-16-le", "surrogatepass")
        elif action == 3:
            data[at:at] = data[at : at + length]
        elif data:
            data[at % len(data)] = rng.randrange(256)
    return bytes(data)


def survives(raw: bytes, folder: Path) -> None:
    """Reads and judges a file; a refusal is fine."""
    path = folder / "report"
    path.write_bytes(raw)
    with suppress(PropOSError):
        judge(read_statement(path, "UTC", assumed=Assumed("USD", 5_000_000)), PRODUCT)


@given(st.sampled_from(WRITTEN), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_report_ends_in_no_traceback(tmp_path: Path, raw: bytes, seed: int) -> None:
    survives(damaged(raw, seed), tmp_path)


@pytest.mark.parametrize("raw", WRITTEN)
def test_the_samples_are_read(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_bytes(raw)
    assert read_statement(path, "UTC", assumed=Assumed("USD", 5_000_000)).closed


@pytest.mark.parametrize(
    ("sample", "old", "new"),
    [
        (mt5(BOOK), "2025.03.06 18:00", "2025.02.30 18:00"),
        (mt5(BOOK), "2025.03.06 18:00", "2025.03.06 24:00"),
        (mt4(BOOK), "2025 March 6, 18:00", "2025 February 30, 18:00"),
        (CTRADER, "(UTC+2)", "(UTC+22)"),
        (TOPSTEPX, ",12.000000000,", f",{'9' * 40},"),
    ],
)
def test_what_damage_once_broke(tmp_path: Path, sample: str, old: str, new: str) -> None:
    assert old in sample
    survives(sample.replace(old, new).encode(), tmp_path)
