"""What import-linter cannot say: submodules of other distributions, single files, and shapes of code."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import MODULES, PACKAGES, ROOT, files, imports, tree, where

# package -> distributions it may import, beside the standard library and the siblings import-linter allows it.
THIRD_PARTY = {
    "domain": {"pydantic"},
    "ports": {"pydantic"},
    "contracts": {"pydantic", "temporalio"},
    "workflows": {"pydantic", "temporalio"},
    "monitor": {"pydantic", "numpy", "numba", "structlog", "prometheus_client", "sqlalchemy", "psycopg"},
    "store": {"pydantic", "sqlalchemy", "psycopg", "alembic", "argon2", "cryptography", "structlog"},
    "firm": {"pydantic", "sqlalchemy", "structlog", "yaml"},
    "front": {"pydantic", "fastapi", "starlette", "sqlalchemy", "structlog", "temporalio", "webauthn", "pyotp"},
    "gateway": {"pydantic", "pydantic_core", "fastapi", "starlette", "structlog"},
    "relay": {
        "pydantic",
        "temporalio",
        "google",
        "sqlalchemy",
        "psycopg",
        "structlog",
        "prometheus_client",
        "cryptography",
    },
    "activities": {"pydantic", "temporalio", "sqlalchemy", "structlog", "prometheus_client", "cryptography"},
    "sandbox": {
        "pydantic",
        "pydantic_core",
        "fastapi",
        "starlette",
        "uvicorn",
        "httpx",
        "numpy",
        "numba",
        "structlog",
        "jinja2",
        "cryptography",
    }
    | {"holidays", "lxml", "schwifty", "google"},
    "adapters": {
        *("pydantic", "httpx", "stripe", "structlog", "selectolax", "exchange_calendars", "pandas", "yaml"),
        *("python_calamine", "charset_normalizer", "holidays", "lxml", "schwifty"),
        *("google", "redis", "websockets", "aiosmtplib", "aiosmtpd", "authlib", "joserfc", "httpcore"),
    },
    "surveillance": {"pydantic", "numpy", "numba", "pandas", "scipy", "rustworkx"},
    "products": set(),
    "wire": {"google"},
}
# folder -> distributions that only it may import: pure functions over numbers and letters.
_OWN = {"domain/surveillance": {"numpy"}, "domain/screening": {"anyascii", "rapidfuzz"}, "domain/mail": {"nh3"}}
# package -> the parts of temporalio it may import.
_CLIENT = ("temporalio.client", "temporalio.common", "temporalio.service", "temporalio.exceptions")
_CODEC = ("temporalio.converter", "temporalio.api.common.v1", "temporalio.contrib.pydantic")
_HISTORY = (  # what the history of a workflow is made of, and what decrypts it
    *(
        "temporalio.api.common.v1",
        "temporalio.api.enums.v1",
        "temporalio.api.failure.v1",
        "temporalio.api.history.v1",
        "temporalio.converter",
    ),
)
TEMPORAL = {
    "workflows": ("temporalio.workflow", "temporalio.common", "temporalio.exceptions", "temporalio.worker"),
    "contracts": ("temporalio.activity",),
    "front": _CLIENT + _HISTORY,
    "api": _CLIENT,
    "console": _CLIENT,
    "relay": _CLIENT + _CODEC,
}
MONEY_FILES = ("domain/money.py", "domain/ledger.py", "domain/payouts/payout.py", "domain/payouts/checks.py")


def test_every_package_and_module_exists() -> None:
    missing = [name for name in PACKAGES if not (ROOT / name / "__init__.py").exists()]
    missing += [name for name in MODULES if not (ROOT / f"{name}.py").exists()]
    assert missing == []


@pytest.mark.parametrize("package", sorted(THIRD_PARTY))
def test_a_package_imports_only_the_distributions_it_may(package: str) -> None:
    ours = {*PACKAGES, *MODULES}
    allowed = THIRD_PARTY[package] | ours | set(sys.stdlib_module_names)
    wrong = []
    for path in files(package):
        extra = next((own for folder, own in _OWN.items() if path.is_relative_to(ROOT / folder)), set())
        wrong += [
            f"{where(path, line)} imports {name}"
            for name, line in imports(path)
            if name.split(".")[0] not in allowed | extra
        ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(TEMPORAL))
def test_a_package_imports_only_the_parts_of_temporal_it_may(package: str) -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in files(package)
        for name, line in _temporal_modules(path)
        if not any(name == part or name.startswith(f"{part}.") for part in TEMPORAL[package])
    ]
    assert wrong == []


def test_nobody_imports_the_composition_roots() -> None:
    roots = {"worker", "cli"}
    wrong = [
        f"{where(path, line)} imports {name}"
        for package in PACKAGES
        if package != "cli"
        for path in files(package)
        for name, line in imports(path)
        if name.split(".")[0] in roots
    ]
    assert wrong == []


def test_only_composition_roots_import_settings() -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for package in PACKAGES
        if package != "cli"
        for path in files(package)
        for name, line in imports(path)
        if name.split(".")[0] == "settings"
    ]
    assert wrong == []


def test_only_settings_reads_the_environment() -> None:
    wrong = [
        where(path, node.lineno)
        for path in files(*PACKAGES, "worker")
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    ]
    assert wrong == []


def test_every_workflow_sets_its_state_in_workflow_init() -> None:
    """An update delivered with the first task runs before `run`: state made there would erase what it did."""
    classes = [
        (path, node) for path in files("workflows") for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)
    ]
    flows = [(path, node) for path, node in classes if any(_name(d) == "workflow.defn" for d in node.decorator_list)]
    wrong = [where(path, node.lineno) for path, node in flows if _has_state(node) and not _has_workflow_init(node)]
    assert flows, "no workflow found: the test looks in the wrong place"
    assert wrong == []


@pytest.mark.parametrize("name", MONEY_FILES)
def test_money_is_never_a_float(name: str) -> None:
    path = ROOT / name
    wrong = [where(path, found.lineno) for found in _annotations(tree(path)) if "float" in ast.unparse(found)]
    wrong += [
        where(path, node.lineno)
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and _name(node) == "float")
    ]
    assert wrong == []


def test_no_test_folder_shadows_a_package() -> None:
    shadows = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} & set(PACKAGES)
    assert shadows == set()


def _annotations(module: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        found = node.returns if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
        if isinstance(node, ast.AnnAssign | ast.arg):
            found = node.annotation
        if found is not None:
            yield found


def _temporal_modules(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of temporalio as they are imported; a bare `from temporalio import x` names `temporalio.x`."""
    for name, line in imports(path):
        if name.startswith("temporalio.") or (name == "temporalio" and _plain_import(path, line)):
            yield name, line


def _plain_import(path: Path, line: int) -> bool:
    return any(isinstance(node, ast.Import) and node.lineno == line for node in ast.walk(tree(path)))


def _name(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(target)


def _has_state(node: ast.ClassDef) -> bool:
    """Whether it keeps anything on itself, or takes signals, updates or queries."""
    sets = any(
        isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store) and ast.unparse(item.value) == "self"
        for item in ast.walk(node)
    )
    methods = (item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))
    decorators = {_name(decorator) for method in methods for decorator in method.decorator_list}
    return sets or bool(decorators & {"workflow.signal", "workflow.update", "workflow.query"})


def _has_workflow_init(node: ast.ClassDef) -> bool:
    return any(
        isinstance(item, ast.FunctionDef)
        and item.name == "__init__"
        and any(_name(d) == "workflow.init" for d in item.decorator_list)
        for item in node.body
    )
