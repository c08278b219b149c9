"""The adapters that the settings name: found by entry point, each checked against its own settings.

An adapter is configured by variables of its own (`PROPOS_PLATFORMS__NAME__FIELD`), so that a new one plugs in without a
change. docs/adding-a-platform.md shows how.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from domain.errors import BadInput
from ports.payments import Providers
from ports.platform import Platforms
from ports.plugin import Plugin
from settings import Settings, adapter_of, adapter_variable, environment_name


@dataclass(frozen=True)
class _Configured:
    """An adapter with its checked settings, not built yet."""

    name: str
    plugin: Plugin[Any, Any, Any]
    values: BaseModel

    def build(self) -> Any:
        return self.plugin.build(self.name, self.values)


def build_platforms(settings: Settings) -> Platforms:
    """Every configured platform. Raises BadInput, naming the variable that is wrong."""
    found, default = _platforms(settings)
    return Platforms({each.name: each.build() for each in found}, default)


def build_payments(settings: Settings) -> Providers:
    """Every configured payment provider. Raises BadInput, naming the variable that is wrong."""
    found, checkout, rail = _payments(settings)
    return Providers({each.name: each.build() for each in found}, checkout=checkout, rail=rail)


def check(settings: Settings) -> str:
    """What is configured, in words. Builds nothing. Raises BadInput, naming the variable that is wrong."""
    (platforms, default), (payments, checkout, rail) = _platforms(settings), _payments(settings)
    return (
        f"platforms {_names(platforms)}, new accounts on {default};"
        f" providers {_names(payments)}, new fees by {checkout}, new payouts by {rail}"
    )


def _names(found: Iterable[_Configured]) -> str:
    return ", ".join(sorted(each.name for each in found))


def _platforms(settings: Settings) -> tuple[list[_Configured], str]:
    found = [_configured("platforms", name, fields) for name, fields in settings.platform_values().items()]
    for each in found:
        if not each.plugin.capabilities.finds_balance_operations:
            raise BadInput(
                f"The platform {each.name!r} cannot find a balance operation by its key:"
                " a payout could not be repaired.",
                field=adapter_variable("platforms", each.name, "adapter"),
                remedy="Use an adapter that can.",
            )
    return found, _default([each.name for each in found], settings.default_platform, "default_platform", "accounts")


def _payments(settings: Settings) -> tuple[list[_Configured], str, str]:
    found = [_configured("payments", name, fields) for name, fields in settings.payment_values().items()]
    takes = [each.name for each in found if each.plugin.capabilities.takes_fees]
    sends = [each.name for each in found if each.plugin.capabilities.sends_payouts]
    checkout = _default(takes, settings.default_checkout, "default_checkout", "fees")
    return found, checkout, _default(sends, settings.default_rail, "default_rail", "payouts")


def _configured(group: str, name: str, fields: Mapping[str, SecretStr]) -> _Configured:
    plugin = _plugin(group, name, fields)
    return _Configured(name, plugin, _checked(group, name, fields, plugin.settings))


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
