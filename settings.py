"""Settings from the environment. No other module reads it. docs/settings.md lists every variable.

The first source with a value wins: the caller, the environment, `DATA/secrets.json` (secrets that `propos up` creates
once, mode 600), `DATA/run/addresses.json` (addresses of the running embedded parts), the default.
"""

import base64
import binascii
import json
import os
import re
import secrets as random_secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.errors import BadInput

Forever = Literal["forever"]
LogLevel = Literal["debug", "info", "warning", "error"]
DEFAULT_DATA = Path(".propos")
_KEY_BYTES = 32
_SECRETS = ("sandbox_token", "webhook_secret", "payload_keys")
_ADAPTERS = ("platforms", "payments")  # fields with one group of values per name
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

AdapterValues = dict[
    str, dict[str, SecretStr]
]  # name -> field -> text; all secret, because only the adapter knows which are


class _DataFolderSource(PydanticBaseSettingsSource):
    """Reads one JSON object of field values from a file in the data folder; no values if the file is missing."""

    def __init__(self, settings_cls: type[BaseSettings], name: str) -> None:
        super().__init__(settings_cls)
        self._name = name

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = self.current_state
        data_dir = Path(known.get("data_dir") or known.get("PROPOS_DATA") or DEFAULT_DATA)
        path = data_dir / self._name
        if not path.is_file():
            return {}
        values = json.loads(path.read_text())
        return {key: value for key, value in values.items() if key in self.settings_cls.model_fields}


class _AdaptersSource(PydanticBaseSettingsSource):
    """Reads `PROPOS_PLATFORMS__NAME__FIELD` and `PROPOS_PAYMENTS__NAME__FIELD`. Every value stays text."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, dict[str, dict[str, str]]] = {group: {} for group in _ADAPTERS}
        for variable, value in sorted(os.environ.items()):
            prefix, *rest = variable.lower().split("__", 2)
            group = prefix.removeprefix("propos_")
            if prefix == group or group not in found:
                continue
            if len(rest) != 2 or not rest[1] or not _NAME.fullmatch(rest[0]):
                raise BadInput(
                    f"{variable} is not a setting of an adapter.",
                    field=variable,
                    remedy=f"Write {environment_name(group)}, the name in letters, digits and single underscores.",
                )
            found[group].setdefault(rest[0], {})[rest[1]] = value
        return {group: values for group, values in found.items() if values}


class Settings(BaseSettings):
    """Every setting. The variable is `PROPOS_` and the field's name in capitals, unless an alias names it."""

    model_config = SettingsConfigDict(env_prefix="PROPOS_", populate_by_name=True, extra="ignore", frozen=True)

    data_dir: Path = Field(DEFAULT_DATA, validation_alias=AliasChoices("data_dir", "PROPOS_DATA"))
    database_url: str | None = Field(None, validation_alias=AliasChoices("database_url", "DATABASE_URL"))
    temporal_address: str | None = Field(None, validation_alias=AliasChoices("temporal_address", "TEMPORAL_ADDRESS"))
    temporal_namespace: str = Field("propos", validation_alias=AliasChoices("temporal_namespace", "PROPOS_NAMESPACE"))
    temporal_port: int = Field(7233, ge=0, le=65535)
    temporal_ui_port: int = Field(8233, ge=0, le=65535)
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65535)
    public_url: str | None = None
    sandbox_url: str = "http://127.0.0.1:8100"
    sandbox_host: str | None = None
    sandbox_public_url: str | None = None
    platforms: AdapterValues = Field(default_factory=dict)
    payments: AdapterValues = Field(default_factory=dict)
    default_platform: str | None = None
    default_checkout: str | None = None
    default_rail: str | None = None
    shards: int = Field(1, ge=1, le=1000)
    monitor_slots: int = Field(8, ge=1, le=1000)
    sandbox_token: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    payload_keys: SecretStr | None = None
    products_dir: Path | None = None
    log_level: LogLevel = "info"
    metrics_host: str = "127.0.0.1"
    worker_metrics_port: int = Field(9101, ge=0, le=65535)
    monitor_metrics_port: int = Field(9102, ge=0, le=65535)
    relay_metrics_port: int = Field(9103, ge=0, le=65535)
    open_parents: bool = False
    keep_minute_bars_days: Annotated[int, Field(ge=7)] | Forever = 60
    keep_hour_bars_days: Annotated[int, Field(ge=60)] | Forever = "forever"
    keep_deals_days: Annotated[int, Field(ge=30)] | Forever = "forever"
    keep_snapshots_days: Annotated[int, Field(ge=30)] | Forever = "forever"
    keep_inbox_days: Annotated[int, Field(ge=90)] | Forever = 400
    keep_outbox_days: Annotated[int, Field(ge=30)] | Forever = 90
    keep_idempotency_keys_days: Annotated[int, Field(ge=7)] | Forever = 30

    @field_validator("database_url")
    @classmethod
    def _plain_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must have the plain form postgresql://user:password@host/database, without a driver")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            _AdaptersSource(settings_cls),
            env_settings,
            _DataFolderSource(settings_cls, "secrets.json"),
            _DataFolderSource(settings_cls, "run/addresses.json"),
        )

    @property
    def products_path(self) -> Path:
        """Returns the folder of product files: `products_dir`, or the installed `products` package."""
        if self.products_dir is not None:
            return self.products_dir
        spec = find_spec("products")
        if spec is None or spec.origin is None:
            raise BadInput("The installed application has no products folder.", remedy="Set PROPOS_PRODUCTS_DIR.")
        return Path(spec.origin).parent

    @property
    def api_url(self) -> str:
        """Returns the URL under which browsers, webhooks and `doctor` reach the API: `public_url`, or its own
        address."""
        host = "127.0.0.1" if self.api_host in ("0.0.0.0", "::") else self.api_host
        return (self.public_url or f"http://{host}:{self.api_port}").rstrip("/")

    def platform_values(self) -> AdapterValues:
        """Returns the settings of every platform by name; when none is set, those of one `sandbox`."""
        return self._with_sandbox(self.platforms, ("sandbox_url", "sandbox_token"))

    def payment_values(self) -> AdapterValues:
        """Returns the settings of every payment provider by name; when none is set, those of one `sandbox`."""
        return self._with_sandbox(self.payments, ("sandbox_url", "sandbox_token", "webhook_secret"))

    def _with_sandbox(self, given: AdapterValues, needed: tuple[str, ...]) -> AdapterValues:
        """Returns the values; fields missing in the entry `sandbox` come from the settings of the sandbox."""
        values = {name: dict(fields) for name, fields in (given or {"sandbox": {}}).items()}
        sandbox = values.get("sandbox")
        if sandbox is not None and adapter_of("sandbox", sandbox) == "sandbox":
            for setting in needed:
                field = setting.removeprefix("sandbox_")
                if field not in sandbox:
                    sandbox[field] = SecretStr(self.required(setting))
        return values

    @property
    def uses_own_sandbox(self) -> bool:
        """Returns whether a platform or provider is the sandbox at `sandbox_url`. `propos up` then runs the sandbox."""
        return any(
            self._is_own_sandbox(name, fields)
            for given in (self.platforms, self.payments)
            for name, fields in (given or {"sandbox": {}}).items()
        )

    @property
    def own_sandbox_provider(self) -> str:
        """Returns the name of the payment provider at `sandbox_url`. The sandbox sends its webhooks under that name."""
        return next((name for name, fields in self.payments.items() if self._is_own_sandbox(name, fields)), "sandbox")

    def _is_own_sandbox(self, name: str, fields: Mapping[str, SecretStr]) -> bool:
        url = fields["url"].get_secret_value() if "url" in fields else self.sandbox_url
        return adapter_of(name, fields) == "sandbox" and url.rstrip("/") == self.sandbox_url.rstrip("/")

    def environment(self) -> dict[str, str | None]:
        """Returns these settings as variables for a child process. Leaves out the secrets of `propos up`, which the
        child reads from the same file. Includes those of adapters, which may have come only from the caller."""
        plain = {name: getattr(self, name) for name in type(self).model_fields if name not in (*_SECRETS, *_ADAPTERS)}
        adapters = {
            adapter_variable(group, name, field): value.get_secret_value()
            for group in _ADAPTERS
            for name, fields in getattr(self, group).items()
            for field, value in fields.items()
        }
        own = {environment_name(name): None if value is None else str(value) for name, value in plain.items()}
        return own | adapters

    def required(self, field: str) -> str:
        """Returns the plain value of a required setting. Raises BadInput with the variable's name if it is not set."""
        value = getattr(self, field)
        if value is None:
            name = environment_name(field)
            raise BadInput(f"{name} is not set.", field=name, remedy=f"Set {name} or run `propos up` first.")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    def payload_key_ring(self) -> tuple[tuple[str, bytes], ...]:
        """Returns (key id, 32 bytes) of every payload key. The first key encrypts, all keys decrypt. Raises
        BadInput."""
        ring = []
        for part in self.required("payload_keys").split(","):
            key_id, _, encoded = part.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not key_id or len(key) != _KEY_BYTES:
                raise BadInput(
                    "PROPOS_PAYLOAD_KEYS must read id:base64[,id:base64], each key 32 bytes.",
                    field="PROPOS_PAYLOAD_KEYS",
                    remedy="Create one with: python -c "
                    "'import base64,os;print(\"k1:\"+base64.b64encode(os.urandom(32)).decode())'",
                )
            ring.append((key_id, key))
        return tuple(ring)


def load(**values: Any) -> Settings:
    """Returns the settings, with `values` first. Raises BadInput with the name of a wrong variable."""
    try:
        return Settings(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field, *inner = [str(part) for part in first["loc"]] or ["settings"]
        name = environment_name(field) if field in Settings.model_fields else field
        if field in _ADAPTERS and len(inner) == 2:
            name = adapter_variable(field, *inner)
        raise BadInput(f"{name}: {first['msg']}.", field=name, remedy="See docs/settings.md.") from None


def adapter_of(name: str, values: Mapping[str, SecretStr]) -> str:
    """Returns the entry point of an adapter: its field ADAPTER, or `name` without one."""
    return values["adapter"].get_secret_value() if "adapter" in values else name


def adapter_variable(group: str, name: str, field: str) -> str:
    """Returns the variable for a field of a platform (`platforms`) or payment provider (`payments`)."""
    return f"PROPOS_{group}__{name}__{field}".upper()


def environment_name(field: str) -> str:
    """Returns the variable that sets `field`."""
    if field in _ADAPTERS:
        return adapter_variable(field, "<name>", "<field>")
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[-1])
    return f"PROPOS_{field.upper()}"


def child_environment(overrides: Mapping[str, str | None]) -> dict[str, str]:
    """Returns this process's environment with `overrides` applied; a variable with the value None is removed."""
    merged = dict(os.environ) | {name: value for name, value in overrides.items() if value is not None}
    return {name: value for name, value in merged.items() if overrides.get(name, "") is not None}


def ensure_secrets(data_dir: Path) -> None:
    """Creates `DATA/secrets.json` (mode 600) with new secrets if it does not exist. Never changes an existing file."""
    path = data_dir / "secrets.json"
    if path.exists():
        return
    values = {
        "sandbox_token": random_secrets.token_urlsafe(32),
        "webhook_secret": random_secrets.token_urlsafe(32),
        "payload_keys": "k1:" + base64.b64encode(random_secrets.token_bytes(_KEY_BYTES)).decode(),
    }
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
