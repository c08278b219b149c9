"""An adapter that is no part of PropOS: a package of its own, found by its entry point (docs/adding-a-platform.md)."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from ports.capabilities import PlatformCapabilities
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    SymbolSpec,
    TradingPlatform,
)
from ports.plugin import Plugin


class ToySettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    server: str
    manager: int
    password: SecretStr

    @field_validator("server")
    @classmethod
    def _has_a_port(cls, value: str) -> str:
        if ":" not in value:
            raise ValueError(f"{value} has no port")
        return value


class ToyPlatform:
    """Opens accounts and remembers nothing: enough to be found, configured and asked how it is."""

    def __init__(self, name: str, settings: ToySettings) -> None:
        self.name, self.settings = name, settings

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        return self.settings.manager * 1000

    async def find_account(self, key: str) -> int | None:
        return None

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        return None

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        return None

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        return None

    async def lock(self, login: int, *, key: str) -> None:
        return None

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        return None

    async def snapshot(self, login: int) -> AccountSnapshot:
        raise NotImplementedError

    async def symbols(self) -> list[SymbolSpec]:
        return []

    async def deals(self, login: int) -> list[Deal]:
        return []

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        raise NotImplementedError

    def marks(self, group: str) -> Marks:
        return "states"

    async def healthy(self) -> str:
        return f"toy at {self.settings.server}"

    async def aclose(self) -> None:
        return None


def _build(name: str, settings: ToySettings) -> TradingPlatform:
    return ToyPlatform(name, settings)


CAN = PlatformCapabilities(
    creates_accounts=True,
    sets_trading=True,
    moves_balances=True,
    finds_balance_operations=True,
    keeps_deals_days=90,
)
PLUGIN = Plugin(ToySettings, CAN, _build)
FORGETFUL = Plugin(ToySettings, CAN.model_copy(update={"finds_balance_operations": False}), _build)
WATCHED = Plugin(ToySettings, PlatformCapabilities(pushes_events=True), _build)
