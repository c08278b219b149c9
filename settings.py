"""Settings from the environment. No other module reads it. docs/settings.md lists every variable.

The first source with a value wins: the caller, the environment, a file named like the variable in PROPOS_SECRETS_DIR
(/run/secrets, where container engines put them), `DATA/secrets.json` (secrets that `propos up` creates once, mode 600),
`DATA/run/addresses.json` (addresses of the running embedded parts), the default.
"""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.errors import BadInput
from settings_keeping import KeepingSettings
from settings_sources import DEFAULT_DATA, DataFolderSource, parse_digest_key, parse_key_ring, secret_files

LogLevel = Literal["debug", "info", "warning", "error"]
_SECRETS = ("sandbox_token", "webhook_secret", "sandbox_stripe_secrets", "payload_keys", "digest_key")
_PAYMENTS = ("acquirers", "rails", "statements")
_ADAPTERS = ("platforms", *_PAYMENTS, "identity", "mail", "mail_doors", "ticket_desks")  # one group of values per name
_OF_SANDBOX = {"sandbox": "", "stripe": "/stripe"}  # adapters that talk to the sandbox -> where in it
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

# name -> field -> text; all secret, because only the adapter knows which are
AdapterValues = dict[str, dict[str, SecretStr]]


class _SecretFilesSource(PydanticBaseSettingsSource):
    """Reads the files of `secret_files`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        files = secret_files()
        return {
            field: files[name] for field in self.settings_cls.model_fields if (name := environment_name(field)) in files
        }


class _AdaptersSource(PydanticBaseSettingsSource):
    """Reads `PROPOS_PLATFORMS__NAME__FIELD` and those of the other adapters. Every value stays text."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, dict[str, dict[str, str]]] = {group: {} for group in _ADAPTERS}
        for variable, value in sorted((secret_files() | os.environ).items()):
            prefix, *rest = variable.lower().split("__", 2)
            group = prefix.removeprefix("propos_")
            if prefix == "propos_payments":
                raise BadInput(
                    f"{variable} is no setting any more.",
                    field=variable,
                    remedy="Acquirers, payment rails and statement sources are configured apart: set"
                    " PROPOS_ACQUIRERS__..., PROPOS_RAILS__... and PROPOS_STATEMENTS__...; see docs/settings.md.",
                )
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


class Settings(KeepingSettings):
    """Every setting. The variable is `PROPOS_` and the field's name in capitals, unless an alias names it."""

    model_config = SettingsConfigDict(env_prefix="PROPOS_", populate_by_name=True, extra="ignore", frozen=True)

    data_dir: Path = Field(DEFAULT_DATA, validation_alias=AliasChoices("data_dir", "PROPOS_DATA"))
    database_url: str | None = Field(None, validation_alias=AliasChoices("database_url", "DATABASE_URL"))
    owner_database_url: str | None = None
    temporal_address: str | None = Field(None, validation_alias=AliasChoices("temporal_address", "TEMPORAL_ADDRESS"))
    temporal_namespace: str = Field("propos", validation_alias=AliasChoices("temporal_namespace", "PROPOS_NAMESPACE"))
    temporal_tls: bool = False
    temporal_tls_ca: Path | None = None
    temporal_tls_certificate: Path | None = None
    temporal_tls_key: Path | None = None
    temporal_tls_server_name: str | None = None
    temporal_api_key: SecretStr | None = None
    statement_timeout_seconds: int = Field(120, ge=0, le=86400)
    lock_timeout_seconds: int = Field(30, ge=0, le=86400)
    idle_transaction_timeout_seconds: int = Field(120, ge=0, le=86400)
    transaction_timeout_seconds: int = Field(300, ge=10, le=540)
    worker_versions: bool = False
    build: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$")
    temporal_port: int = Field(7233, ge=0, le=65535)
    temporal_ui_port: int = Field(8233, ge=0, le=65535)
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65535)
    public_url: str | None = None
    sandbox_url: str = "http://127.0.0.1:8100"
    sandbox_host: str | None = None
    sandbox_public_url: str | None = None
    sandbox_bank_dir: Path | None = None
    platforms: AdapterValues = Field(default_factory=dict)
    acquirers: AdapterValues = Field(default_factory=dict)
    rails: AdapterValues = Field(default_factory=dict)
    statements: AdapterValues = Field(default_factory=dict)
    identity: AdapterValues = Field(default_factory=dict)
    mail: AdapterValues = Field(default_factory=dict)
    mail_doors: AdapterValues = Field(default_factory=dict)
    ticket_desks: AdapterValues = Field(default_factory=dict)
    tickets: str = "own"
    tickets_note: Literal["link", "answers"] = "link"
    mail_from: str = "Support <support@propos.example>"
    default_platform: str | None = None
    product_platforms: str | None = None
    default_acquirer: str | None = None
    default_rail: str | None = None
    default_identity: str | None = None
    shards: int = Field(1, ge=1, le=1000)
    monitor_slots: int = Field(8, ge=1, le=1000)
    sandbox_token: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    sandbox_stripe_secrets: SecretStr | None = None
    payload_keys: SecretStr | None = None
    digest_key: SecretStr | None = None
    step_up: bool = True
    factor_roles: str | None = None
    passkey_rp_id: str | None = None
    passkey_origins: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_label: str = "Single sign-on"
    products_dir: Path | None = None
    tax_table: Path | None = None
    policy: Path | None = None
    exposure_policy: Path | None = None
    dispute_policy: Path | None = None
    service_policy: Path | None = None
    notification_texts: Path | None = None
    log_level: LogLevel = "info"
    metrics_host: str = "127.0.0.1"
    worker_metrics_port: int = Field(9101, ge=0, le=65535)
    monitor_metrics_port: int = Field(9102, ge=0, le=65535)
    relay_metrics_port: int = Field(9103, ge=0, le=65535)
    mail_in_metrics_port: int = Field(9104, ge=0, le=65535)
    open_parents: bool = False
    person_requests: int = Field(1200, ge=20)
    key_requests: int = Field(600, ge=20)
    webhook_hosts: str | None = None
    webhook_loopback: bool = False
    webhook_failing_days: int = Field(5, ge=1)
    remind_minutes: int = Field(60, ge=1, le=10_080)
    remind_pause_minutes: int = Field(15, ge=1, le=1440)
    sign_in_idle_minutes: int = Field(120, ge=5, le=43_200)
    sign_in_hours: int = Field(12, ge=1, le=720)
    sign_ups_per_address: int = Field(20, ge=1, le=1_000_000)
    sign_ups_per_hour: int = Field(500, ge=1, le=1_000_000)
    recoveries_per_address: int = Field(10, ge=1, le=1_000_000)
    confirm_email: bool = True

    @field_validator("database_url", "owner_database_url")
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
            _SecretFilesSource(settings_cls),
            DataFolderSource(settings_cls, "secrets.json"),
            DataFolderSource(settings_cls, "run/addresses.json"),
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
        """Returns where browsers, webhooks and `doctor` reach the API: `public_url`, or its own address."""
        host = "127.0.0.1" if self.api_host in ("0.0.0.0", "::") else self.api_host
        return (self.public_url or f"http://{host}:{self.api_port}").rstrip("/")

    @property
    def bank_path(self) -> Path:
        """Returns the folder that the firm and the simulated bank share."""
        return self.sandbox_bank_dir or self.data_dir / "bank"

    @property
    def simulates_payments(self) -> bool:
        """Returns whether no acquirer, rail or statement source is configured. The sandbox is all of them then."""
        return not any(getattr(self, group) for group in _PAYMENTS)

    def platform_values(self) -> AdapterValues:
        """Returns the settings of every platform by name; when none is set, those of one `sandbox`. Raises BadInput
        without either."""
        if not self.platforms:
            self._check_simulation("trading platform", "platforms")
        return self._with_sandbox(self.platforms or {"sandbox": {}}, ("sandbox_url", "sandbox_token"))

    def payment_values(self, group: str) -> AdapterValues:
        """Returns the settings of every configured acquirer, rail or statement source by name."""
        return self._with_sandbox(getattr(self, group), ("sandbox_url", "sandbox_token", "webhook_secret"))

    def simulated_provider(self) -> AdapterValues:
        """Returns the settings of the sandbox's simple payment provider. Raises BadInput without a sandbox."""
        self._check_simulation("acquirer, payment rail or statement source", "acquirers")
        return self._with_sandbox({"sandbox": {}}, ("sandbox_url", "sandbox_token", "webhook_secret"))

    def identity_values(self) -> AdapterValues:
        """Returns the settings of every identity checker by name; when none is set, those of one `manual`."""
        return self.identity or {"manual": {}}

    def _check_simulation(self, what: str, group: str) -> None:
        if self.sandbox_token is None:
            variable = environment_name(group)
            raise BadInput(
                f"No {what} is configured.",
                field=variable,
                remedy=f"Set {variable} (docs/settings.md). `propos up` simulates what is not configured.",
            )

    def _with_sandbox(self, given: AdapterValues, needed: tuple[str, ...]) -> AdapterValues:
        """Returns the values; fields missing in the entry `sandbox` come from the settings of the sandbox."""
        values = {name: dict(fields) for name, fields in given.items()}
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
        return (
            not self.platforms
            or self.simulates_payments
            or any(
                self._is_own_sandbox(name, fields)
                for group in ("platforms", *_PAYMENTS)
                for name, fields in getattr(self, group).items()
            )
        )

    def own_provider(self, adapter: str) -> str:
        """Returns the name of the acquirer or rail with this adapter at `sandbox_url`, for the sandbox's webhooks."""
        given = {**self.rails, **self.acquirers}
        own = (name for name, fields in given.items() if self._is_own_sandbox(name, fields))
        return next((name for name in own if adapter_of(name, given[name]) == adapter), adapter)

    def _is_own_sandbox(self, name: str, fields: Mapping[str, SecretStr]) -> bool:
        part = _OF_SANDBOX.get(adapter_of(name, fields))
        if part is None or ("url" not in fields and part):
            return False
        url = fields["url"].get_secret_value() if "url" in fields else self.sandbox_url
        return url.rstrip("/") == self.sandbox_url.rstrip("/") + part

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
        if self.temporal_api_key is not None:
            plain["temporal_api_key"] = self.temporal_api_key.get_secret_value()
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
        return parse_key_ring(self.required("payload_keys"))

    def digest_key_bytes(self) -> bytes | None:
        """Returns the key of digests; None: they use the last payload key. Raises BadInput."""
        return None if self.digest_key is None else parse_digest_key(self.digest_key.get_secret_value())


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
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{name}: {said}.", field=name, remedy="See docs/settings.md.") from None


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


def is_in_environment(field: str) -> bool:
    """Returns whether a variable of this process's environment, or a secret file, sets `field`."""
    return environment_name(field) in os.environ or environment_name(field) in secret_files()


def child_environment(overrides: Mapping[str, str | None]) -> dict[str, str]:
    """Returns this process's environment with `overrides` applied; a variable with the value None is removed."""
    merged = dict(os.environ) | {name: value for name, value in overrides.items() if value is not None}
    return {name: value for name, value in merged.items() if overrides.get(name, "") is not None}
