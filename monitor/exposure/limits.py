"""The firm's limits on exposure: watched by one desk of all, on the figures of all shards."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from domain.exposure.figures import ShardFigures
from domain.exposure.firm import merged
from domain.exposure.limits import standings, words
from domain.exposure.policy import ExposurePolicy, Level
from monitor.facts import ReviewKind
from store.exposure import Changed, may_watch, stored_levels, write_changes

_EVERY: Final = 1.0
_TRY_EVERY: Final = 5.0
Parts = Callable[[Connection[Any]], list[dict[str, Any]]]


class LimitWatch:
    """At most one watch of all shards works at a time; when its connection ends, another takes over."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._chosen, self._tried_at, self._looked_at = False, -_TRY_EVERY, -_EVERY
        self._levels: dict[tuple[str, str], Level] = {}

    def run(self, policy: ExposurePolicy, parts: Parts) -> None:
        """Compares the firm's figures with the limits, about once a second."""
        now = time.monotonic()
        if not self._chosen and now - self._tried_at >= _TRY_EVERY:
            self._tried_at = now
            self._chosen = may_watch(self._connection)
            if self._chosen:
                self._levels = {key: _level(level) for key, level in stored_levels(self._connection).items()}
        if self._chosen and now - self._looked_at >= _EVERY:
            self._looked_at = now
            self.look(policy, [ShardFigures.model_validate(body) for body in parts(self._connection)])

    def look(self, policy: ExposurePolicy, shards: list[ShardFigures]) -> None:
        """Stores every limit whose level has changed. A limit that the policy has no more is inside."""
        if not shards:
            return
        figures = merged(shards, policy.names)
        limits = {limit.id: limit for limit in policy.limits}
        found = standings(policy, figures, self._levels)
        changes = [
            Changed(
                each.limit,
                each.name,
                each.level,
                each.value_minor,
                {**each.model_dump(mode="json"), "sentence": words(each, limits[each.limit])},
            )
            for each in found
            if each.level != self._levels.get(each.key, "inside")
        ]
        changes += [
            Changed(limit, name, "inside", 0, {"sentence": "The policy has no such limit any more."})
            for (limit, name), level in self._levels.items()
            if limit not in limits and level != "inside"
        ]
        at: datetime | None = figures.at
        if changes and at is not None:
            write_changes(self._connection, changes, at, kind=ReviewKind.EXPOSURE_LIMIT)
            self._levels |= {(each.limit, each.name): _level(each.level) for each in changes}


def _level(word: str) -> Level:
    return "hard" if word == "hard" else "soft" if word == "soft" else "inside"
