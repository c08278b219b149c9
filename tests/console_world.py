"""The console on a seeded firm: the real application in this process, with Temporal and the provider as fakes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import update
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.deps import Deps
from activities.payouts import PayoutActivities
from api.app import create_app
from contracts.messages import PayoutChoice
from contracts.payouts import PayoutDecision
from front.deps import ApiDeps
from front.subjects.subject import Subjects
from front.subjects.table import SUBJECTS
from store.db import Database
from store.models import MarketClock
from tests.adapters import providers
from tests.api_world import FakePayments, FakeTemporal
from tests.console_firm import PASSWORD, Firm, build

_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_ITEM: Final = re.compile(r'name="item" value="([^"]+)"><input type="hidden" name="seen" value="([^"]+)"')
_KINDS: Final = {str(subject.page).lstrip("/"): subject.name for subject in SUBJECTS}


@dataclass
class ConsoleWorld:
    app: FastAPI
    db: Database
    temporal: FakeTemporal
    firm: Firm

    @asynccontextmanager
    async def browser(self, login: str | None) -> AsyncIterator["Browser"]:
        """A browser without script, signed in as `login` (None: nobody)."""
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
            browser = Browser(http)
            if login is not None:
                answer = await http.post("/sign-in", data={"login": login, "password": PASSWORD, "next": "/"})
                assert answer.status_code == 303, answer.text
            yield browser

    def answer(self, workflow_id: str, **result: Any) -> None:
        """Have a workflow take its next decision."""

        def taken(decision: str, request: Any) -> dict[str, Any]:
            subject = workflow_id.split("/", 1)[1]
            return {"subject_id": subject, "decision": decision, "approvals": 0, "approvals_needed": 0, **result}

        self.temporal.answers[workflow_id] = taken

    def decides_payouts(self) -> None:
        """Have the payouts' workflows take every decision as they really do: through the activity, on the record."""
        for payout_id in (self.firm.payout, self.firm.big_payout):
            self.temporal.answers[f"payout/{payout_id}"] = partial(self._decide, payout_id)

    async def _decide(self, payout_id: str, choice: PayoutChoice, request: Any) -> dict[str, Any]:
        unused: Any = None  # a decision reaches neither the platform nor the provider
        activities = PayoutActivities(Deps(db=self.db, platforms=unused, payments=unused))
        try:
            result = await activities.record_decision(
                PayoutDecision(payout_id=payout_id, choice=choice, request=request, update_id=request.key)
            )
        except ApplicationError as error:
            raise WorkflowUpdateFailedError(error) from error
        return result.model_dump(mode="json")


@dataclass
class Browser:
    http: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def csrf(self) -> str:
        found = _CSRF.search((await self.http.get("/")).text)
        assert found is not None
        return found.group(1)

    async def post(self, path: str, *, key: str | None = None, **fields: str) -> httpx.Response:
        """Send a form as the page would: with its csrf token, a key made when it was shown, and, when it decides, the
        item and what was seen of it."""
        shown = await self.form(path) if path.endswith("/decision") and "item" not in fields else {}
        sent = {"csrf": await self.csrf(), "key": key or uuid4().hex, **shown, **fields}
        return await self.http.post(path, data=sent)

    async def form(self, path: str) -> dict[str, str]:
        """What the form at this address carries now, on the item's own page. Where no form is offered, what a forged
        one would carry."""
        page = path.removesuffix("/decision")
        found = _ITEM.search((await self.http.get(page)).text)
        if found is not None:
            return {"item": found.group(1), "seen": found.group(2)}
        place, _, subject_id = page[1:].partition("/")
        return {"item": f"{_KINDS[place]}/{subject_id}", "seen": ""}


@asynccontextmanager
async def console_world(database_url: str, subjects: Subjects = SUBJECTS) -> AsyncIterator[ConsoleWorld]:
    db, temporal, payments = Database(database_url), FakeTemporal(), FakePayments()
    try:
        firm = await build(db)
        deps = ApiDeps(
            db=db,
            temporal=temporal.connect,
            payments=providers(payments),
            public_url="http://firm.test",
            cookie_secure=False,
            subjects=subjects,
        )
        yield ConsoleWorld(create_app(deps), db, temporal, firm)
    finally:
        await payments.aclose()
        await db.close()


async def feed_heard(world: ConsoleWorld, ago: timedelta) -> None:
    """The feed's last word came so long ago, in wall time."""
    async with world.db.transaction() as session:
        await session.execute(update(MarketClock).values(recorded_at=datetime.now(UTC) - ago))
