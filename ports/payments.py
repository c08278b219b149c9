"""The acquirers, payment rails, statement sources and identity checkers that a firm has configured.

Connections of one name are one account at one company, which may be all three.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from ports.acquirer import Acquirers
from ports.identity import IdentityCheckers
from ports.money import EventSource
from ports.rail import Rails
from ports.statements import StatementSources


@dataclass(frozen=True)
class Payments:
    acquirers: Acquirers
    rails: Rails
    statements: StatementSources
    identity: IdentityCheckers

    @property
    def event_sources(self) -> Mapping[str, EventSource]:
        """Returns who tells us of changes, by name. An acquirer also tells of the transfers of the rail and
        of the checks of the identity checker of its name."""
        return {**self.identity.by_name, **self.rails.by_name, **self.acquirers.by_name}

    async def aclose(self) -> None:
        every = (self.acquirers.by_name, self.rails.by_name, self.statements.by_name, self.identity.by_name)
        await asyncio.gather(*(one.aclose() for group in every for one in group.values()))
