"""Prometheus metrics of one application object."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Counters move with requests; gauges are set from the record at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "propos_http_requests_total", "Requests by route and status.", ["method", "route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "propos_http_request_seconds", "Time to answer.", ["method", "route"], registry=self._registry
        )
        self._waiting = Gauge(
            "propos_waiting", "Messages that wait, by box and whether parked.", ["box", "parked"],
            registry=self._registry,
        )  # fmt: skip
        self._work = Gauge(
            "propos_open_work", "Work that waits for people, snoozed or not.", ["kind"], registry=self._registry
        )
        self._lag = Gauge("propos_relay_lag_seconds", "Age of the oldest waiting message.", registry=self._registry)
        self._feeds = Gauge(
            "propos_feed_age_seconds", "Time since prices of a feed were judged.", ["feed"], registry=self._registry
        )

    def scrape(
        self,
        waiting: Mapping[tuple[str, bool], int],
        work: Mapping[str, int],
        lag_seconds: float,
        feed_ages: Mapping[str, float],
    ) -> bytes:
        """The text exposition format. `waiting`: (box, parked) -> messages; `feed_ages`: feed -> seconds."""
        for (box, parked), count in waiting.items():
            self._waiting.labels(box, str(parked).lower()).set(count)
        for kind, count in work.items():
            self._work.labels(kind).set(count)
        self._lag.set(lag_seconds)
        for feed, seconds in feed_ages.items():
            self._feeds.labels(feed).set(seconds)
        return generate_latest(self._registry)
