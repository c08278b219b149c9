"""The API process: the API and the console of this firm."""

import asyncio
import gc
from datetime import timedelta

from fastapi import FastAPI

from adapters.calendars import known_venues
from adapters.calendars.exchange import ExchangeCalendars
from adapters.taxes.flat import read_table
from api.app import create_app
from cli.access import build_access
from cli.adapters import build_mail, build_mail_doors, build_payments, describe_platforms
from cli.compose import build_database, temporal, webhook_rules
from cli.readiness import OtherParts
from cli.serving import serve_http
from cli.stack.probes import TemporalProbe
from cli.temporal_access import temporal_access
from cli.ticket_desk import build_ticket_desk
from domain.sign_ins import Limit, SignInTerms
from firm.notifications.reminders import Pace
from front.deps import ApiDeps
from front.limits import RequestLimits
from front.reminding import keep_reminding
from ports import taxes
from ports.mail_door import CalledDoor
from relay.temporal import SharedClient
from settings import Settings
from store.scope import NOBODY


async def run_api(settings: Settings, stop: asyncio.Event) -> None:
    """Serve pages and programs, and remind people of work that is due, until `stop`."""
    app = build_to_stay(settings)
    pace = Pace(timedelta(minutes=settings.remind_minutes), timedelta(minutes=settings.remind_pause_minutes))
    deps: ApiDeps = app.state.deps
    reminding = asyncio.create_task(keep_reminding(deps.db, stop, site=deps.public_url, pace=pace))
    try:
        await serve_http(app, settings, stop)
    finally:
        reminding.cancel()


def build_to_stay(settings: Settings) -> FastAPI:
    """`build_api` for a process that serves nothing else. Half a million objects stay until its end: to search them for
    garbage would hold up every request for a quarter of a second."""
    app = build_api(settings)
    gc.collect()
    gc.freeze()
    return app


def build_api(settings: Settings) -> FastAPI:
    """The API and console of this firm."""
    return create_app(
        ApiDeps(
            db=build_database(settings, scope=NOBODY),
            temporal=SharedClient(lambda: temporal(settings)),
            payments=build_payments(settings),
            public_url=settings.api_url,
            cookie_secure=settings.api_url.startswith("https://"),
            venues=known_venues,
            calendars=ExchangeCalendars(),
            taxes=taxes.NONE if settings.tax_table is None else read_table(settings.tax_table),
            platforms=describe_platforms(settings),
            limits=RequestLimits(person=settings.person_requests, key=settings.key_requests),
            webhook_rules=webhook_rules(settings),
            mail_doors={
                name: door for name, door in build_mail_doors(settings).items() if isinstance(door, CalledDoor)
            },
            mail_address=build_mail(settings).address,
            ticket_desk=build_ticket_desk(settings),
            sign_ins=_sign_in_terms(settings),
            access=build_access(settings),
            others=OtherParts(_probe(settings), settings.data_dir),
        )
    )


def _sign_in_terms(settings: Settings) -> SignInTerms:
    """How long sign-ins last, and how many there may be."""
    hour = timedelta(hours=1)
    return SignInTerms(
        idle=timedelta(minutes=settings.sign_in_idle_minutes),
        longest=timedelta(hours=settings.sign_in_hours),
        sign_ups=Limit(settings.sign_ups_per_address, hour),
        firm_sign_ups=Limit(settings.sign_ups_per_hour, hour),
        recoveries=Limit(settings.recoveries_per_address, hour),
        confirm_email=settings.confirm_email,
    )


def _probe(settings: Settings) -> TemporalProbe:
    return TemporalProbe(settings.required("temporal_address"), settings.temporal_namespace, temporal_access(settings))
