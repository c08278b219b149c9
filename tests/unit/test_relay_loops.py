"""How long the loops of the relay pause."""

import asyncio

import pytest

from relay import service


@pytest.mark.parametrize(
    ("told", "idle_seconds", "pauses"),
    [(True, 5.0, [1.0, 2.0, 4.0, 5.0]), (False, 0.5, [1.0, 2.0, 4.0, 5.0]), (False, 60.0, [5.0, 5.0, 5.0, 5.0])],
)
async def test_an_outage_holds_up_messages_no_longer_than_it_must(
    told: bool, idle_seconds: float, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, made, news = asyncio.Event(), list[float](), asyncio.Event() if told else None

    async def pause(seconds: float, stop: asyncio.Event, notified: asyncio.Event | None) -> None:
        made.append(seconds)
        assert notified is None, "news does not shorten it"
        if len(made) == len(pauses):
            stop.set()

    async def broken() -> int:
        raise ConnectionError

    monkeypatch.setattr(service, "_pause", pause)
    await service._loop("outbox", broken, idle_seconds, stop, news)
    assert made == pauses


def test_ranks_take_a_twentieth_of_the_time_and_are_never_two_minutes_old() -> None:
    assert [service.ranks_pause(seconds) for seconds in (0.0, 0.25, 2.0, 60.0)] == [5.0, 5.0, 40.0, 120.0]
