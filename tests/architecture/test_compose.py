"""The compose files and the Dockerfile speak of commands, ports, variables and secrets that exist in the code."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
import yaml

from cli.init import init
from cli.main import app
from settings import Settings, environment_name
from tests.architecture.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SANDBOX: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.sandbox.yml").read_text())
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "propos"}
COMMANDS = set(typer.main.get_group(app).commands)
VARIABLES = {environment_name(field) for field in Settings.model_fields}


def _default_ports() -> set[int]:
    fields = Settings.model_fields
    ports = {int(info.default) for name, info in fields.items() if name.endswith("_port")}
    return ports | {urlsplit(str(fields["sandbox_url"].default)).port or 0}


def test_the_processes_are_those_of_up() -> None:
    assert set(OURS) == {"migrate", "worker", "monitor", "relay", "mail-in", "api"}
    assert set(SANDBOX["services"]) == {*OURS, "sandbox"}
    assert SANDBOX["services"]["sandbox"]["command"] == ["sandbox"]


def test_nothing_is_simulated_unless_the_second_file_says_so() -> None:
    assert "SANDBOX" not in (ROOT / "docker-compose.yml").read_text()
    of_sandbox = {name: service["environment"] for name, service in SANDBOX["services"].items()}
    assert all({"PROPOS_SANDBOX_URL", "PROPOS_SANDBOX_TOKEN"} <= each.keys() for each in of_sandbox.values())
    assert {name for each in of_sandbox.values() for name in each} <= VARIABLES


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
    given = {name: set(service["secrets"]) for name, service in OURS.items()}
    assert {name for name, each in given.items() if "PROPOS_OWNER_DATABASE_URL" in each} == {"migrate"}
    assert all({"DATABASE_URL", "PROPOS_PAYLOAD_KEYS", "PROPOS_DIGEST_KEY"} <= each for each in given.values())
    assert {name for name, service in SERVICES.items() if "POSTGRES_PASSWORD" in service.get("secrets", [])} == {
        "postgres",
        "temporal",
    }


def test_every_secret_is_a_file_that_init_makes(tmp_path: Path) -> None:
    init(tmp_path, "https://desk.example.com")
    assert {name: entry["file"] for name, entry in COMPOSE["secrets"].items()} == {
        path.name: f"secrets/{path.name}" for path in (tmp_path / "secrets").iterdir()
    }
    assert set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "docker-compose.yml").read_text())) == {"PROPOS_PUBLIC_URL"}
    assert (tmp_path / ".env").read_text() == "PROPOS_PUBLIC_URL=https://desk.example.com\n"


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"(?:PASSWORD|SECRET|TOKEN|KEYS)\w*: *[^/\s{]", text)
    assert "://propos" not in text


def test_our_processes_can_write_nothing_but_their_data() -> None:
    for name in [*OURS, "temporal-namespace"]:
        service = SERVICES[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert all("mem_limit" in service for service in OURS.values())


def test_migrations_come_before_whatever_needs_them() -> None:
    assert OURS["migrate"]["restart"] == "no"
    for name in ("worker", "monitor", "relay", "mail-in", "api"):
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_service_that_stays_has_a_health_check() -> None:
    once = {"migrate", "temporal-namespace"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == once


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["10001"]
