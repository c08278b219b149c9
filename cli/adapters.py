"""The adapters that the settings name: found by entry point, each checked against its own settings.

An adapter is configured by variables of its own (`PROPOS_PLATFORMS__NAME__FIELD`), so that a new one plugs in without a
change. docs/adding-a-platform.md shows how.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NoReturn

from pydantic import BaseModel, SecretStr, ValidationError

from adapters.platforms.http_stream import GatewaySettings
from cli import simulated
from domain.errors import BadInput
from domain.mail.addresses import plain_address
from firm.products.yaml_text import read_text, read_yaml
from gateway.symbols import MappedFeed, SymbolMap
from ports.acquirer import Acquirers
from ports.capabilities import PlatformCapabilities, PlatformFeatures
from ports.identity import IdentityCheckers
from ports.mail import MailDesk
from ports.mail_door import MailDoor
from ports.payments import Payments
from ports.platform import Platforms, TradingPlatform
from ports.plugin import Plugin
from ports.rail import Rails
from ports.statements import StatementSources
from ports.venue import VenueFeed
from settings import Settings, adapter_of, adapter_variable, environment_name

_ENTRY_POINTS: Final = {
    "platforms": "propos.platforms",
    "acquirers": "propos.acquirers",
    "rails": "propos.payment_rails",
    "statements": "propos.statement_sources",
    "identity": "propos.identity_checkers",
    "mail": "propos.mail_senders",
    "mail_doors": "propos.mail_doors",
    "ticket_desks": "propos.ticket_desks",
}


@dataclass(frozen=True)
class _Configured:
    """An adapter with its checked settings, not built yet."""

    name: str
    adapter: str
    plugin: Plugin[Any, Any, Any]
    values: BaseModel

    def build(self) -> Any:
        return self.plugin.build(self.name, self.values)

    def feed(self) -> VenueFeed:
        """What a gateway reads, under the firm's names of symbols."""
        assert self.plugin.feed is not None
        return MappedFeed(self.plugin.feed(self.name, self.values), self.symbols())

    def symbols(self) -> SymbolMap:
        """The firm's symbol map of a platform. Raises BadInput when its file cannot be read."""
        file = getattr(self.values, "symbols_file", None)
        return SymbolMap() if file is None else read_symbols(file)


def build_platforms(settings: Settings) -> Platforms:
    """Every configured platform. Raises BadInput, naming the variable that is wrong."""
    found, default = _platforms(settings)
    products = _product_platforms(settings, found)
    maps = {each.name: each.symbols() for each in found}
    named = {name: each.name for name, each in maps.items() if each.renames}
    return Platforms({each.name: each.build() for each in found}, default, products, named)


def gateways(settings: Settings) -> dict[str, str]:
    """Returns the address of the gateway of every platform that is read through one, by the platform's name."""
    found, _ = _platforms(settings)
    return {
        each.name: each.values.gateway
        for each in found
        if each.plugin.feed is not None and isinstance(each.values, GatewaySettings)
    }


def describe_platforms(settings: Settings) -> tuple[PlatformFeatures, ...]:
    """What every configured platform can do, by name. Builds nothing. Raises BadInput, naming the variable that is
    wrong."""
    found, default = _platforms(settings)
    sold = _product_platforms(settings, found)
    return tuple(
        PlatformFeatures(
            each.name,
            each.adapter,
            each.name == default,
            each.plugin.capabilities,
            tuple(sorted(product for product, name in sold.items() if name == each.name)),
        )
        for each in sorted(found, key=lambda each: each.name)
    )


def build_for_gateway(settings: Settings, name: str) -> tuple[TradingPlatform, VenueFeed, GatewaySettings]:
    """The platform `name`, what its gateway reads, and where the gateway listens. Raises BadInput when there is no such
    platform, or it is read without a gateway."""
    found, _ = _platforms(settings)
    for each in found:
        if each.name == name and each.plugin.feed is not None and isinstance(each.values, GatewaySettings):
            return each.build(), each.feed(), each.values
    through = sorted(each.name for each in found if each.plugin.feed is not None)
    raise BadInput(
        f"There is no platform {name!r} that is read through a gateway; there is {', '.join(through) or 'none'}.",
        field="name",
        remedy=f"Give one of these, or set {adapter_variable('platforms', name, 'adapter')}.",
    )


@dataclass(frozen=True)
class OnePlatform:
    """A platform with everything that is known of it. `raw_feed`: what its adapter gives to a gateway, with the venue's
    names of symbols; None for a platform that is read without one."""

    name: str
    plugin: Plugin[Any, PlatformCapabilities, TradingPlatform]
    values: BaseModel
    platform: TradingPlatform
    raw_feed: VenueFeed | None
    symbols: SymbolMap

    async def aclose(self) -> None:
        if self.raw_feed is not None:
            await self.raw_feed.aclose()
        await self.platform.aclose()


def build_one_platform(settings: Settings, name: str) -> OnePlatform:
    """The platform `name`, whether or not the firm could work with it and the others. Raises BadInput when there is no
    such platform, or a setting of it is wrong."""
    given = settings.platform_values()
    if name not in given:
        raise BadInput(
            f"There is no platform {name!r}; configured: {', '.join(sorted(given)) or 'none'}.",
            field="name",
            remedy=f"Give one of these, or set {adapter_variable('platforms', name, 'adapter')}.",
        )
    each = configured("platforms", name, given[name])
    feed = None if each.plugin.feed is None else each.plugin.feed(name, each.values)
    return OnePlatform(name, each.plugin, each.values, each.build(), feed, each.symbols())


def read_symbols(file: Path) -> SymbolMap:
    """The symbol map in a YAML file. Raises BadInput, naming the file and what is wrong in it."""
    _, data = read_yaml(read_text(file), file.name)
    try:
        return SymbolMap.model_validate(data or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])) or "symbols"
    raise BadInput(
        f"{file.name}: {place}: {first['msg']}.",
        field=place,
        remedy="Correct the file; docs/gateway.md shows its form.",
    )


def build_payments(settings: Settings) -> Payments:
    """Every configured acquirer, rail, statement source and identity checker. Raises BadInput, naming the variable that
    is wrong."""
    found = _payments(settings)
    return Payments(
        Acquirers({each.name: each.build() for each in found.acquirers}, found.acquirer),
        Rails(
            {each.name: each.build() for each in found.rails},
            found.rail,
            {each.name: each.plugin.capabilities for each in found.rails},
        ),
        StatementSources({each.name: each.build() for each in found.statements}),
        IdentityCheckers({each.name: each.build() for each in found.checkers}, found.checker),
    )


def build_mail(settings: Settings) -> MailDesk:
    """What the firm sends mail with. Raises BadInput, naming the variable that is wrong."""
    sender = _mail_sender(settings)
    return MailDesk(sender.build(), settings.mail_from, plain_address(settings.mail_from), settings.api_url)


def build_mail_doors(settings: Settings) -> dict[str, MailDoor]:
    """The doors by which mail comes in, by name. Raises BadInput, naming the variable that is wrong."""
    return {name: configured("mail_doors", name, fields).build() for name, fields in settings.mail_doors.items()}


def _mail_sender(settings: Settings) -> _Configured:
    """The one way in which mail leaves: without a setting, as files in the data folder."""
    given = settings.mail or {"folder": {"path": SecretStr(str(settings.data_dir.absolute() / "mail"))}}
    variable = environment_name("mail_from")
    try:
        plain_address(settings.mail_from)
    except BadInput:
        raise BadInput(f"{variable} has no mail address.", field=variable, remedy="Write Name <a@b.com>.") from None
    if len(given) > 1:
        raise BadInput(f"Several mail senders are set: {', '.join(sorted(given))}.", remedy="Keep one of them.")
    return next(configured("mail", name, fields) for name, fields in given.items())


def check(settings: Settings) -> str:
    """What is configured, in words. Builds nothing. Raises BadInput, naming the variable that is wrong."""
    (platforms, default), payments = _platforms(settings), _payments(settings)
    elsewhere = _product_platforms(settings, platforms)
    mail = _mail_sender(settings)
    accounts = "".join(f", of {product} on {name}" for product, name in sorted(elsewhere.items()))
    return (
        f"platforms {_names(platforms)}, new accounts on {default}{accounts};"
        f" acquirers {_names(payments.acquirers)}, new fees by {payments.acquirer};"
        f" rails {_names(payments.rails)}, new payouts by {payments.rail};"
        f" statements {_names(payments.statements)};"
        f" identity checks {_names(payments.checkers)}, new ones by {payments.checker};"
        f" mail {mail.name}"
    )


def _names(found: Iterable[_Configured]) -> str:
    return ", ".join(sorted(each.name for each in found))


def _platforms(settings: Settings) -> tuple[list[_Configured], str]:
    found = [configured("platforms", name, fields) for name, fields in settings.platform_values().items()]
    for each in found:
        _check_repairable(each.name, each.plugin.capabilities)
    missing = {each.name: each.plugin.capabilities.missing_for_new_accounts() for each in found}
    able = [name for name, sentences in missing.items() if not sentences]
    chosen = settings.default_platform
    if not able or missing.get(chosen or ""):
        _refuse_default(chosen if chosen in missing else found[0].name, missing)
    return found, _default(able, chosen, "default_platform", "accounts")


def _product_platforms(settings: Settings, found: Sequence[_Configured]) -> dict[str, str]:
    """Returns the platform of each product that has one of its own. Raises BadInput."""
    variable = environment_name("product_platforms")
    able = {each.name for each in found if not each.plugin.capabilities.missing_for_new_accounts()}
    chosen: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in (settings.product_platforms or "").split(","))):
        product, _, platform = (each.strip() for each in part.partition("="))
        if not product or platform not in able:
            raise BadInput(
                f"{variable} says {part!r}: there is no platform {platform!r} that new accounts can be opened on.",
                field=variable,
                remedy=f"Write product=platform, separated by commas; platforms: {', '.join(sorted(able))}.",
            )
        chosen[product] = platform
    return chosen


def _check_repairable(name: str, capabilities: PlatformCapabilities) -> None:
    """Raises BadInput for a platform that moves money and cannot say afterwards whether it did."""
    if capabilities.moves_balances and not capabilities.finds_balance_operations:
        raise BadInput(
            f"The platform {name!r} cannot find a balance operation by its key: a payout could not be repaired.",
            field=adapter_variable("platforms", name, "adapter"),
            remedy="Use an adapter that can.",
        )


def _refuse_default(name: str, missing: Mapping[str, Sequence[str]]) -> NoReturn:
    able = sorted(each for each, sentences in missing.items() if not sentences)
    variable = environment_name("default_platform")
    raise BadInput(
        f"New accounts cannot be opened on the platform {name!r}: {' '.join(missing[name])}",
        field=variable,
        remedy=f"Set {variable} to one of {', '.join(able)}." if able else "Configure a second platform for them.",
    )


@dataclass(frozen=True)
class _Payments:
    """What is configured, and the names that are used for what is new."""

    acquirers: list[_Configured]
    rails: list[_Configured]
    statements: list[_Configured]
    checkers: list[_Configured]
    acquirer: str
    rail: str
    checker: str


def _payments(settings: Settings) -> _Payments:
    given = simulated.payment_values(settings) if settings.simulates_payments else None
    given_identity = settings.identity_values() if given is None or settings.identity else given["identity"]
    acquirers, rails, statements = (
        [
            configured(group, name, fields)
            for name, fields in (settings.payment_values(group) if given is None else given[group]).items()
        ]
        for group in ("acquirers", "rails", "statements")
    )
    _check_reconciled([*acquirers, *rails], statements)
    checkers = [configured("identity", name, fields) for name, fields in given_identity.items()]
    new_fees, new_payouts, new_checks = settings.default_acquirer, settings.default_rail, settings.default_identity
    if given is not None:
        new_fees, new_payouts = new_fees or simulated.ACQUIRER, new_payouts or simulated.RAIL
        new_checks = new_checks or (None if settings.identity else simulated.CHECKER)
    acquirer = _default([each.name for each in acquirers], new_fees, "default_acquirer", "fees")
    rail = _default([each.name for each in rails], new_payouts, "default_rail", "payouts")
    checker = _default([each.name for each in checkers], new_checks, "default_identity", "traders")
    return _Payments(acquirers, rails, statements, checkers, acquirer, rail, checker)


def _check_reconciled(moving: Iterable[_Configured], statements: Iterable[_Configured]) -> None:
    """Raises BadInput for a connection that moves money and has no statement to reconcile it with."""
    missing = sorted({each.name for each in moving} - {each.name for each in statements})
    if missing:
        raise BadInput(
            f"{missing[0]!r} moves money, and no statement source of that name is configured.",
            field=adapter_variable("statements", missing[0], "adapter"),
            remedy=f"Set {adapter_variable('statements', missing[0], '<field>')}: what it moves must be reconciled.",
        )


def configured(group: str, name: str, fields: Mapping[str, SecretStr]) -> _Configured:
    plugin = _plugin(group, name, fields)
    return _Configured(name, adapter_of(name, fields), plugin, _checked(group, name, fields, plugin.settings))


def _plugin(group: str, name: str, fields: Mapping[str, SecretStr]) -> Plugin[Any, Any, Any]:
    adapter = adapter_of(name, fields)
    points = _ENTRY_POINTS[group]
    installed = {point.name: point for point in entry_points(group=points)}
    if adapter not in installed:
        raise BadInput(
            f"There is no adapter {adapter!r} in {points}; installed: {', '.join(sorted(installed)) or 'none'}.",
            field=adapter_variable(group, name, "adapter"),
            remedy=f"Install its package, or set {adapter_variable(group, name, 'adapter')} to one of these.",
        )
    plugin = installed[adapter].load()
    if not isinstance(plugin, Plugin):
        raise BadInput(
            f"The entry point {adapter!r} in {points} names no Plugin.",
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
