"""How alerts are compared with what was planted, worked by hand."""

import pytest

from cli.bench.detection.score import Alert, Planted, Scored, figures, score, wilson

COPY = Planted(
    "S1", "copy_trading", frozenset({"copy_trading", "hedging"}), frozenset({"A", "B", "C"}), "easy", "copies", ""
)
GRID = Planted("S2", "grid", frozenset({"grid"}), frozenset({"D"}), "hard", "grid", "")
DECOY = Planted("S3", "", frozenset(), frozenset({"E"}), "", "office", "shared_identity")


def alert(pattern: str, *accounts: str, note: bool = False) -> Alert:
    return Alert(pattern, frozenset(accounts), note)


def scored(*alerts: Alert) -> Scored:
    sums = Scored()
    score(sums, alerts, [COPY, GRID, DECOY], accounts=105)
    return sums


def test_two_of_three_accounts_find_a_story_and_one_does_not() -> None:
    assert figures(scored(alert("copy_trading", "A", "B")).of("copy_trading"))["recall"] == 1.0
    one = scored(alert("copy_trading", "A"))
    assert (one.of("copy_trading").found, one.of("copy_trading").right) == (0, 1)


def test_pairs_of_a_group_find_it_together() -> None:
    assert scored(alert("copy_trading", "A"), alert("copy_trading", "B")).of("copy_trading").found == 1


def test_an_accepted_pattern_finds_a_story_but_not_by_its_name() -> None:
    tally = scored(alert("hedging", "A", "B")).of("copy_trading")
    assert (tally.found, tally.found_by_name) == (1, 0)


def test_another_pattern_on_a_story_is_false() -> None:
    sums = scored(alert("grid", "A"))
    assert (sums.of("grid").right, sums.of("grid").false, sums.false_ordinary) == (0, 1, 0)


def test_an_alert_that_names_mostly_others_is_false() -> None:
    sums = scored(alert("grid", "D", "X", "Y"))
    assert (sums.of("grid").found, sums.of("grid").false) == (0, 1)


def test_an_alert_on_a_decoy_and_one_on_ordinary_people_are_false() -> None:
    sums = scored(alert("shared_identity", "E"), alert("shared_identity", "X", "Y"))
    assert (sums.of("shared_identity").false, sums.of("shared_identity").false_on_decoys) == (2, 1)
    assert (sums.ordinary, sums.false_ordinary) == (100, 1)
    assert sums.decoys["shared_identity: office"] == 1


def test_notes_neither_find_nor_are_false() -> None:
    sums = scored(alert("copy_trading", "A", "B", note=True), alert("copy_trading", "X", "Y", note=True))
    assert (sums.notes, sums.of("copy_trading").found, sums.of("copy_trading").false) == (2, 0, 0)


@pytest.mark.parametrize(
    ("count", "of", "interval"), [(18, 20, (0.699, 0.9721)), (0, 0, (0.0, 1.0)), (5, 5, (0.5655, 1.0))]
)
def test_wilson_intervals(count: int, of: int, interval: tuple[float, float]) -> None:
    assert wilson(count, of) == pytest.approx(interval, abs=5e-4)
