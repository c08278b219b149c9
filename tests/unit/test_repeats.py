"""What a finding adds to earlier alerts of it."""

from datetime import UTC, datetime
from decimal import Decimal

from domain.surveillance.findings import Finding, Involved
from domain.surveillance.repeats import Earlier, Repeat, finding_key, news, numbered


def found(named: str, blamed: str, deals: str = "") -> Finding:
    """Accounts and deals are single letters."""
    return Finding(
        key="k/1",
        detector="copy_trading",
        at=datetime(2014, 5, 2, tzinfo=UTC),
        score=Decimal("0.9"),
        sentence="It copies.",
        accounts=tuple(Involved(account_id=each, role="named") for each in named),
        blamed=tuple(blamed),
        deals=tuple(deals),
    )


def told(said: Repeat | None) -> tuple[str, str] | None:
    """(whom it blames, whom it can hold)"""
    return None if said is None else ("".join(said.finding.blamed), "".join(sorted(said.holds)))


def test_the_first_is_news_and_the_same_again_is_not() -> None:
    one = found("LA", "A", "12")
    assert told(news(one, "hold", [])) == ("A", "AL")
    assert news(one, "hold", [Earlier(one, "hold", "open")]) is None
    assert told(news(one, "hold", [Earlier(one, "note", "none")])) == ("A", "AL"), "a note that is grave now"


def test_new_deals_count_once_no_case_is_open_and_each_once() -> None:
    first, second = Earlier(found("LA", "A", "12"), "hold", "ended"), Earlier(found("LA", "A", "234"), "hold", "ended")
    more = found("LA", "A", "2345")
    assert news(more, "hold", [first, second]) is None, "one new deal, and the first named two"
    assert told(news(found("LA", "A", "3456"), "hold", [first, second])) == ("A", "AL")
    open_one = Earlier(second.finding, "hold", "open")
    assert news(found("LA", "A", "3456"), "hold", [first, open_one]) is None


def test_who_was_decided_about_is_neither_blamed_nor_held_for_the_sake_of_another() -> None:
    cleared = Earlier(found("LA", "A"), "hold", "ended")
    suspected = Earlier(found("LAB", "B"), "hold", "open")
    assert told(news(found("LAB", "AB"), "hold", [cleared])) == ("B", "B")
    assert told(news(found("LABC", "ABC"), "hold", [cleared, suspected])) == ("BC", "BC")
    assert told(news(found("LA", "LA"), "hold", [cleared])) == ("L", "L"), "the leader was only named before"
    assert news(found("LAB", "A"), "hold", [cleared]) is None, "nobody new is blamed"


def test_alerts_of_one_finding_are_numbered() -> None:
    assert [numbered("k/1", each) for each in (1, 2)] == ["k/1", "k/1#2"]
    assert [finding_key(each) for each in ("k/1", "k/1#2")] == ["k/1", "k/1"]
    assert len(numbered("k" * 160, 12)) <= 160
