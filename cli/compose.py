"""Settings -> adapters -> processes.

An adapter is found by its entry point and configured by variables of its own (`PROPOS_PLATFORMS__NAME__FIELD`), so that
a new one plugs in without a change. docs/adding-a-platform.md shows how.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, SecretStr, ValidationError
from temporalio.client import Client

from activities.deps import Deps
from adapters.calendars import known_venues
from adapters.calendars.exchange import ExchangeCalendars
from api.app import create_app
from contracts.drops import Note
from domain.errors import BadInput
from front.deps import ApiDeps
from ports.payments import PaymentProvider, Providers
from ports.platform import Platforms, TradingPlatform
from ports.plugin import Plugin
from relay.service import Relay
from relay.temporal import SharedClient, connect
from settings import Settings, adapter_of, adapter_variable, environment_name
from store.crypto import FieldKeys, install
from store.db import Database


def build_platforms(settings: Settings) -> Platforms:
    """Every configured platform. Raises BadInput, naming the variable that is wrong."""
    values = settings.platform_values()
    found: dict[str, TradingPlatform] = {}
    for name, fields in values.items():
        plugin = _plugin("platforms", name, fields)
        if not plugin.capabilities.finds_balance_operations:
            raise BadInput(
                f"The platform {name!r} cannot find a balance operation by its key: a payout could not be repaired.",
                field=adapter_variable("platforms", name, "adapter"),
                remedy="Use an adapter that can.",
            )
        found[name] = plugin.build(name, _checked("platforms", name, fields, plugin.settings))
    return Platforms(found, _default(list(found), settings.default_platform, "default_platform", "accounts"))


def build_payments(settings: Settings) -> Providers:
    """Every configured payment provider. Raises BadInput, naming the variable that is wrong."""
    values = settings.payment_values()
    plugins = {name: _plugin("payments", name, fields) for name, fields in values.items()}
    found: dict[str, PaymentProvider] = {
        name: plugin.build(name, _checked("payments", name, values[name], plugin.settings))
        for name, plugin in plugins.items()
    }
    takes = [name for name, plugin in plugins.items() if plugin.capabilities.takes_fees]
    sends = [name for name, plugin in plugins.items() if plugin.capabilities.sends_payouts]
    return Providers(
        found,
        checkout=_default(takes, settings.default_checkout, "default_checkout", "fees"),
        rail=_default(sends, settings.default_rail, "default_rail", "payouts"),
    )


def _plugin(group: str, name: str, fields: Mapping[str, SecretStr]) -> Plugin[Any, Any, Any]:
    adapter = adapter_of(name, fields)
    installed = {point.name: point for point in entry_points(group=f"propos.{group}")}
    if adapter not in installed:
        raise BadInput(
            f"There is no adapter {adapter!r} in propos.{group}; installed: {', '.join(sorted(installed)) or 'none'}.",
            field=adapter_variable(group, name, "adapter"),
            remedy=f"Install its package, or set {adapter_variable(group, name, 'adapter')} to one of these.",
        )
    plugin = installed[adapter].load()
    if not isinstance(plugin, Plugin):
        raise BadInput(
            f"The entry point {adapter!r} in propos.{group} names no Plugin.",
            field=adapter_variable(group, name, "adapter"),
            remedy="See docs/adding-a-platform.md.",
        )
    return plugin


def _checked(group: str, name: str, fields: Mapping[str, SecretStr], model: type[BaseModel]) -> BaseModel:
    """The adapter's own settings. BadInput names the variable and never repeats its value."""
    values = {field: value.get_secret_value() for field, value in fields.items() if field != "adapter"}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else "<field>"
    variable = adapter_variable(group, name, field)
    known = ", ".join(adapter_variable(group, name, known) for known in model.model_fields)
    remedies = {"missing": f"Set {variable}.", "extra_forbidden": f"The adapter knows {known}."}
    wrong = {"missing": "is not set", "extra_forbidden": "is no setting of this adapter"}
    said = wrong.get(first["type"]) or f"is not valid: {_without(first['msg'], values.values())}"
    raise BadInput(f"{variable} {said}.", field=variable, remedy=remedies.get(first["type"], f"Correct {variable}."))


def _without(message: str, values: Iterable[str]) -> str:
    """A validator of an adapter may repeat what it was given."""
    for value in values:
        if value:
            message = message.replace(value, "...")
    return message


def _default(able: Sequence[str], chosen: str | None, setting: str, what: str) -> str:
    """The name that is used for what is new. Raises BadInput when several could be and none is chosen."""
    variable, names = environment_name(setting), ", ".join(sorted(able)) or "none"
    if chosen is None and len(able) == 1:
        return able[0]
    if chosen is None:
        raise BadInput(
            f"{variable} is not set, and {len(able)} are configured for new {what}: {names}.",
            field=variable,
            remedy=f"Set {variable} to one of them." if able else "Configure one: see docs/settings.md.",
        )
    if chosen not in able:
        raise BadInput(
            f"{variable} is {chosen!r}, which is not configured for new {what}; configured: {names}.",
            field=variable,
            remedy=f"Set {variable} to one of them.",
        )
    return chosen


def build_database(settings: Settings, *, pool_size: int = 10) -> Database:
    """The process's pool; also installs the keys of encrypted columns. Connects on first use."""
    install(FieldKeys.parse(settings.required("payload_keys")))
    return Database(settings.required("database_url"), pool_size=pool_size)


async def temporal(settings: Settings, note: Note | None = None) -> Client:
    """A connected client; raises Unavailable. `note` hears of each payload that cannot be read."""
    return await connect(
        settings.required("temporal_address"), settings.temporal_namespace, settings.required("payload_keys"), note
    )


@asynccontextmanager
async def dependencies(settings: Settings, *, pool_size: int = 10) -> AsyncIterator[Deps]:
    """Database and adapters of a process, closed at the end of the block."""
    deps = Deps(
        db=build_database(settings, pool_size=pool_size),
        platforms=build_platforms(settings),
        payments=build_payments(settings),
        calendars=ExchangeCalendars(),
    )
    try:
        yield deps
    finally:
        await deps.platforms.aclose()
        await deps.payments.aclose()
        await deps.db.close()


def build_api(settings: Settings) -> FastAPI:
    """The API and console of this firm."""
    return create_app(
        ApiDeps(
            db=build_database(settings),
            temporal=SharedClient(lambda: temporal(settings)),
            payments=build_payments(settings),
            public_url=settings.api_url,
            cookie_secure=settings.api_url.startswith("https://"),
            venues=known_venues,
        )
    )


async def run_relay(settings: Settings, stop: asyncio.Event) -> None:
    """Carry inbox and outbox until `stop`."""
    async with dependencies(settings) as deps:
        relay = Relay(deps.db, lambda: temporal(settings), deps.platforms, deps.payments, settings.shards)
        await relay.run(stop)
