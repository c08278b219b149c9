"""Alerts and dashboard ask for metrics that the code has, and name runbooks that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from prometheus_client import REGISTRY, CollectorRegistry

import relay.service  # noqa: F401 -- its counters, and those of the loops that it runs
from api.metrics import Metrics
from front.subjects.subject import kinds
from front.subjects.table import SUBJECTS
from tests.architecture.source import ROOT

RULES: Final[list[dict[str, Any]]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/propos.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS: Final[list[dict[str, Any]]] = json.loads((ROOT / "deploy/grafana/propos.json").read_text())["panels"]
ASKED: Final = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]


def _known() -> Iterator[str]:
    metrics = Metrics()
    registries: list[CollectorRegistry] = [REGISTRY, metrics._registry]
    for registry in registries:
        for family in registry.collect():
            yield family.name
            yield from (f"{family.name}_{suffix}" for suffix in ("total", "bucket", "count", "sum"))


def test_every_metric_exists() -> None:
    asked = {name for expression in ASKED for name in re.findall(r"\bpropos_\w+", expression)}
    assert len(asked) >= 10
    assert asked <= set(_known())


def test_every_kind_of_work_exists() -> None:
    asked = {kind for expression in ASKED for kind in re.findall(r'kind="(\w+)"', expression)}
    assert asked
    assert asked <= set(kinds(SUBJECTS))


def test_every_runbook_exists() -> None:
    for rule in RULES:
        page, _, part = rule["annotations"]["runbook"].partition("#")
        text = (ROOT / page).read_text()
        titles = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        assert not part or part in titles, rule["alert"]
