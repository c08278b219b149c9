"""docker-compose.yml and Dockerfile speak of commands, ports and variables that exist in the code."""

import re
from typing import Any
from urllib.parse import urlsplit

import typer
import yaml

from cli.main import app
from settings import Settings, environment_name
from tests.architecture.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "propos"}
COMMANDS = set(typer.main.get_group(app).commands)
VARIABLES = {environment_name(field) for field in Settings.model_fields}


def _default_ports() -> set[int]:
    fields = Settings.model_fields
    ports = {int(info.default) for name, info in fields.items() if name.endswith("_port")}
    return ports | {urlsplit(str(fields["sandbox_url"].default)).port or 0}


def test_the_processes_are_those_of_up() -> None:
    assert set(OURS) == {"migrate", "worker", "monitor", "relay", "mail-in", "api", "sandbox"}


def test_every_command_exists() -> None:
    used = {service["command"][0] for service in OURS.values()}
    assert used <= COMMANDS
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r'^ENTRYPOINT \["propos"\]$', dockerfile, re.MULTILINE)
    assert set(re.findall(r'^CMD \["(\w+)"\]$', dockerfile, re.MULTILINE)) <= COMMANDS


def test_every_variable_exists_in_the_settings() -> None:
    used = {name for service in OURS.values() for name in service["environment"]}
    assert used <= VARIABLES


def test_every_port_is_a_default_of_the_settings() -> None:
    text = yaml.safe_dump(OURS)
    used = {int(port) for port in re.findall(r"(?:127\.0\.0\.1|api|sandbox|temporal):(\d+)", text)}
    used |= {int(mapping.rsplit(":", 1)[1]) for service in OURS.values() for mapping in service.get("ports", [])}
    assert used
    assert used <= _default_ports()


def test_only_the_migrations_have_the_rights_of_the_owner() -> None:
    environments = {name: service["environment"] for name, service in OURS.items()}
    assert {name for name, each in environments.items() if "PROPOS_OWNER_DATABASE_URL" in each} == {"migrate"}
    assert {each["DATABASE_URL"].split(":$")[0] for each in environments.values()} == {"postgresql://propos_app"}
    assert "propos_app" not in environments["migrate"]["PROPOS_OWNER_DATABASE_URL"]


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    secret = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEYS)\w*)([^}]*)\}")
    assert {suffix for _, suffix in secret.findall(text)} == {":?"}


def test_migrations_come_before_whatever_needs_them() -> None:
    assert OURS["migrate"]["restart"] == "no"
    for name in ("worker", "monitor", "relay", "mail-in", "api"):
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_service_that_stays_has_a_health_check() -> None:
    once = {"migrate", "temporal-namespace"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == once


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["propos"]
