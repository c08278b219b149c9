"""The history of a workflow in words, from the events that a real Temporal server keeps."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from domain.errors import BadInput, NotFound, Unavailable
from front.deps import ApiDeps
from front.workflow_history import WorkflowHistory, history
from tests.challenge_world import Firm, Venue, a_firm


@dataclass
class RefusingVenue(Venue):
    """Refuses the first account, in words that quote a person."""

    refuses: bool = True

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        if self.refuses:
            self.refuses = False
            raise RuntimeError("ada@example.com was refused")
        return await super().create_account(key=key, group=group, currency=currency, leverage=leverage)


def _deps(firm: Firm) -> ApiDeps:
    async def connected() -> Any:
        return firm.client

    unused: Any = None
    return ApiDeps(db=firm.db, temporal=connected, payments=unused, public_url="http://firm.test")


def _words(found: WorkflowHistory) -> list[str]:
    return [line.words for line in found.items]


async def test_a_challenge_is_read_from_its_start_and_its_content_only_by_who_may(
    database_url: str, temporal_address: str
) -> None:
    async with a_firm(database_url, temporal_address) as firm:
        deps = _deps(firm)
        challenge_id = await firm.bought(await firm.add_trader("ada"))
        said = list[str]()
        while said.count("Starts the phase: completed.") < 1 or not said[-1].startswith("Waits for an event"):
            read = await history(deps, "challenge", challenge_id, content=True)
            said = _words(read)
        assert said[0] == "The workflow started."
        order = [
            "Opens the checkout: completed.",
            "Received: payment settled.",
            "Opens the account at the platform: completed.",
        ]
        assert [said.index(words) for words in order] == sorted(said.index(words) for words in order)
        assert said.index("Opens the checkout: started.") < said.index("Opens the checkout: completed.")
        assert challenge_id in read.items[0].content
        assert [line.number for line in read.items] == sorted(line.number for line in read.items)
        hidden = await history(deps, "challenge", challenge_id)
        assert _words(hidden) == said and {line.content for line in hidden.items} == {""}

        with pytest.raises(BadInput):
            await history(deps, "challenge", challenge_id, at="%%")
        with pytest.raises(NotFound):
            await history(deps, "payout", challenge_id)

        async def away() -> Any:
            raise RuntimeError("Failed client connect")

        with pytest.raises(Unavailable, match="cannot be reached"):
            await history(replace(deps, temporal=away), "challenge", challenge_id)


async def test_what_failed_is_quoted_only_to_who_may_read_the_content(database_url: str, temporal_address: str) -> None:
    async with a_firm(database_url, temporal_address, RefusingVenue()) as firm:
        challenge_id = await firm.bought(await firm.add_trader("ada"))
        for content, said in ((True, "ada@example.com was refused"), (False, "RuntimeError.")):
            read = await history(_deps(firm), "challenge", challenge_id, content=content)
            assert [line.failure for line in read.items if line.failure] == [f"The previous attempt failed: {said}"]
