"""The venues of a simulated firm: the sandbox, and fakes of real platforms that follow the sandbox's market.

Each fake is a process of its own with a gateway of its own. It sells variants of the demo's products under names of
their own, because a product is traded on one platform.
"""

import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from adapters.tradovate.platform import account_name
from adapters.tradovate.settings import TradovateSettings
from cli.stack.probes import free_ports
from domain.errors import BadInput
from domain.keys import account_creation
from sandbox.tradovate.config import ADMIN_ID, CONTRACT_OF, TEMPLATE_ID, TradovateConfig
from settings import Settings

SANDBOX: Final = "sandbox"
TRADOVATE: Final = "tradovate-fake"
KNOWN: Final = (SANDBOX, TRADOVATE)
_PREFIX: Final = str(TradovateSettings.model_fields["prefix"].default)
_CALLS_PER_HOUR: Final = 10_000_000  # an hour of ours may be months of market time
_ATTEMPTS: Final = 3  # accounts of one phase that hosted traders know in advance


def check_venues(names: Sequence[str], symbols: Sequence[str]) -> tuple[str, ...]:
    """Returns the venues besides the sandbox. Raises BadInput for names that cannot be venues of one firm."""
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise BadInput(
            f"There is no venue {unknown[0]!r}.", field="--venues", remedy=f"Choose among {', '.join(KNOWN)}."
        )
    if len(set(names)) != len(names):
        raise BadInput("A venue is named twice.", field="--venues", remedy="Name each venue once.")
    if names and SANDBOX not in names:
        raise BadInput(
            "The prices of every venue come from the sandbox.",
            field="--venues",
            remedy=f"Name {SANDBOX} too: --venues {','.join((SANDBOX, *names))}.",
        )
    others = tuple(name for name in names if name != SANDBOX)
    if others and not any(symbol in CONTRACT_OF for symbol in symbols):
        raise BadInput(
            f"{others[0]} trades none of {', '.join(symbols)}.",
            field="--symbols",
            remedy=f"Take one of {', '.join(CONTRACT_OF)} among the symbols.",
        )
    return others


def platform_of(venue: str) -> str:
    """Returns the name that the firm's settings and pages give a venue."""
    return venue.replace("-", "_")


def product_at(venue: str, product: str) -> str:
    """Returns the name of the product as it is sold on a venue."""
    return product if venue == SANDBOX else f"{product}-{venue}"


@dataclass(frozen=True)
class Venue:
    """A fake that this stack runs. `url` and `desk_token`: of its desk."""

    name: str
    url: str
    desk_token: str
    gateway: str
    gateway_token: str

    @property
    def platform(self) -> str:
        return platform_of(self.name)

    def fields(self, symbols: Sequence[str]) -> dict[str, str]:
        """Returns the settings of its platform."""
        given = self._config(None)
        return {
            "adapter": "tradovate",
            "name": given.name,
            "password": given.password,
            "cid": given.cid,
            "sec": given.sec,
            "holder": str(ADMIN_ID),
            "templates": f"*={TEMPLATE_ID}",
            "symbols": ",".join(CONTRACT_OF[symbol] for symbol in symbols if symbol in CONTRACT_OF),
            "url": f"{self.url}/v1",
            "users_url": f"{self.url}/v1",
            "quotes_url": f"ws{self.url.removeprefix('http')}/v1/websocket",
            "gateway": self.gateway,
            "gateway_token": self.gateway_token,
            "gateway_wall_clock": "false",
            "calls_per_hour": str(_CALLS_PER_HOUR),
        }

    def argv(self, folder: Path, settings: Settings, symbols: Sequence[str]) -> list[str]:
        """Returns the command that runs it. Its settings are in a file of the data `folder`, because they hold
        tokens."""
        follows = {
            "sandbox": settings.sandbox_url,
            "token": settings.required("sandbox_token"),
            "reader": f"market/{self.platform}",
            "symbols": list(symbols),
            "gateway": self.gateway,
            "folder": str(folder / "venues" / self.platform),
        }
        file = folder / "run" / f"{self.platform}.json"
        file.touch(mode=0o600)
        file.write_text(self._config(follows).model_dump_json())
        return [sys.executable, "-P", "-m", "sandbox.tradovate.server", f"@{file}"]

    def _config(self, follows: dict[str, Any] | None) -> TradovateConfig:
        port = int(self.url.rpartition(":")[2])
        return TradovateConfig.model_validate({"port": port, "desk_token": self.desk_token, "follows": follows})


def account_names(challenge_id: str, phases: int) -> dict[str, str]:
    """Returns `challenge/phase` of each account that a challenge may get on Tradovate, by the account's name there."""
    keys = [
        (account_creation(challenge_id, phase, attempt), f"{challenge_id}/{phase}")
        for phase in range(1, phases + 1)
        for attempt in range(1, _ATTEMPTS + 1)
    ]
    return {account_name(_PREFIX, key): place for key, place in keys}


def with_venues(
    settings: Settings, venues: Sequence[Venue], symbols: Sequence[str], products: Sequence[str]
) -> Settings:
    """Returns the settings of a firm with these venues besides the sandbox. `products`: what is sold on all of them.
    Raises BadInput when the firm has platforms of its own."""
    if settings.platforms:
        raise BadInput(
            "The firm has platforms of its own: PROPOS_PLATFORMS__... is set.",
            field="--venues",
            remedy="Unset these variables, or leave --venues out.",
        )
    fields = {each.platform: each.fields(symbols) for each in venues}
    secret = {name: {field: SecretStr(value) for field, value in values.items()} for name, values in fields.items()}
    sold = [f"{product_at(each.name, product)}={each.platform}" for each in venues for product in products]
    update = {
        "platforms": {SANDBOX: {}, **secret},
        "default_platform": SANDBOX,
        "product_platforms": ",".join(filter(None, (settings.product_platforms, *sold))),
    }
    return settings.model_copy(update=update)


def platform_settings(settings: Settings) -> dict[str, Any]:
    """Returns what other commands of this firm must know of its platforms, as plain values."""
    platforms = {
        name: {field: value.get_secret_value() for field, value in fields.items()}
        for name, fields in settings.platforms.items()
    }
    names = ("default_platform", "product_platforms")
    return {"platforms": platforms, **{name: getattr(settings, name) for name in names}}


def remembered(data_dir: Path, venues: Sequence[str], products: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Returns the venues and products with those of earlier starts on this folder: their accounts are there. Remembers
    them."""
    file = data_dir / "venues.json"
    known = json.loads(file.read_text()) if file.exists() else {"venues": [], "products": []}
    both = {
        "venues": list(dict.fromkeys([*known["venues"], *venues])),
        "products": list(dict.fromkeys([*known["products"], *products])),
    }
    if both["venues"] and both != known:
        file.write_text(json.dumps(both))
    return tuple(both["venues"]), both["products"]


def new_venues(names: Sequence[str]) -> tuple[Venue, ...]:
    """Returns the venues with free ports and tokens."""
    ports = free_ports(2 * len(names))
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    return tuple(
        Venue(name, urls[2 * place], secrets.token_urlsafe(24), urls[2 * place + 1], secrets.token_urlsafe(24))
        for place, name in enumerate(names)
    )
