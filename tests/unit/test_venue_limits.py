"""Names from keys, rate limits, pauses and the breaker that the adapters of venues share."""

import asyncio
from itertools import islice

import pytest

from adapters.venue.limits import CircuitBreaker, Rate, RateLimiter, pauses
from adapters.venue.tags import digits, mark, marked, tag
from domain.errors import Unavailable


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_tag_is_short_and_tells_operations_and_keys_apart() -> None:
    made = tag("payout_hold", "pay_1")
    assert made == tag("payout_hold", "pay_1")
    assert made.startswith("PH") and len(made) == 26 and made.isalnum() and made.isupper()
    assert len({made, tag("payout_release", "pay_1"), tag("payout_hold", "pay_2")}) == 3


def test_digits_have_the_length_asked_for() -> None:
    assert len(digits("key", 20)) == 20 and digits("key", 20).isdigit()
    assert digits("key", 20) == digits("key", 20) != digits("other", 20)


def test_a_mark_holds_the_key_when_it_fits() -> None:
    assert mark("payout_hold", "pay_1", 64) == "PH:pay_1"
    assert marked("PH:pay_1") == ("PH", "pay_1")
    assert marked(mark("deposit", "with:colon", 64)) == ("D", "with:colon")
    for hidden in ("k" * 63, "two words", "schlüssel"):
        assert mark("deposit", hidden, 64) == tag("deposit", hidden)
        assert marked(mark("deposit", hidden, 64)) is None
    assert marked("a note: by hand") is None
    assert marked("PH:") is None


async def test_calls_wait_for_the_narrowest_rate() -> None:
    time = Time()
    limiter = RateLimiter("The venue", [Rate(2, 1.0), Rate(3, 60.0)], patience=100, clock=time, sleep=time.sleep)
    for _ in range(2):
        await limiter.wait()
    assert time.slept == []
    await limiter.wait()
    assert time.slept == [1.0]
    await limiter.wait()
    assert time.slept == [1.0, 60.0]
    time.now += 200
    await limiter.wait()
    assert len(time.slept) == 2


async def test_calls_that_wait_hold_their_place() -> None:
    time = Time()
    limiter = RateLimiter("The venue", [Rate(1, 1.0)], clock=time, sleep=time.sleep)
    await asyncio.gather(*(limiter.wait() for _ in range(3)))
    assert time.slept == [1.0, 2.0]


async def test_a_lock_never_waits_and_is_counted() -> None:
    time = Time()
    limiter = RateLimiter("The venue", [Rate(1, 10.0)], clock=time, sleep=time.sleep)
    for _ in range(3):
        await limiter.wait(urgent=True)
    assert time.slept == []
    await limiter.wait()
    assert time.slept == [10.0]


async def test_a_wait_beyond_the_patience_is_refused_and_not_counted() -> None:
    time = Time()
    limiter = RateLimiter("The venue", [Rate(1, 3600.0)], patience=30, clock=time, sleep=time.sleep)
    await limiter.wait()
    for _ in range(2):
        with pytest.raises(Unavailable, match="3600 s"):
            await limiter.wait()
    time.now += 3600
    await limiter.wait()
    assert time.slept == []


def test_pauses_double_up_to_the_longest_and_vary() -> None:
    assert list(islice(pauses(1, 5, chance=lambda: 1.0), 5)) == [1, 2, 4, 5, 5]
    assert list(islice(pauses(1, 5, chance=lambda: 0.0), 3)) == [0.5, 1, 2]


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_call_try() -> None:
    time = Time()
    breaker = CircuitBreaker("The venue", failures=3, clock=time, chance=lambda: 1.0)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.check()
        breaker.failed()
    breaker.check()
    breaker.failed()
    with pytest.raises(Unavailable):
        breaker.check()
    breaker.check(urgent=True)
    time.now += 1
    breaker.check()
    with pytest.raises(Unavailable):
        breaker.check()  # one call tries already
    breaker.failed()
    time.now += 1.5
    with pytest.raises(Unavailable):
        breaker.check()  # the second pause is two seconds
    time.now += 0.5
    breaker.check()
    breaker.succeeded()
    breaker.check()
    breaker.check()


def test_a_pause_that_the_venue_asks_for_binds_locks_too() -> None:
    time = Time()
    breaker = CircuitBreaker("The venue", clock=time)
    breaker.hold(5)
    for urgent in (False, True):
        with pytest.raises(Unavailable):
            breaker.check(urgent=urgent)
    time.now += 5
    breaker.check()
    breaker.check()
