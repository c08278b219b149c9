"""The shelf: reads product definitions (YAML) and names file, line and field of whatever is wrong."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from domain.errors import ProductInvalid
from domain.products import Product

SHELF = Path(__file__).parent.parent / "products"


def _line_of(node: yaml.Node, path: tuple[int | str, ...]) -> int:
    """The line where `path` stands in the document, or the last part of it that exists."""
    line: int = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if found is None:
                continue  # a discriminator's tag, or a missing field: stay at its parent
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def load_product(path: Path) -> Product:
    """Read one definition; raises ProductInvalid whose message has a `file:line field: problem` row per error."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data: Any = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as exc:
        raise ProductInvalid(f"{path.name}: cannot be read: {exc}", field=path.name) from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ProductInvalid(
            f"{path.name}:{line} is not YAML: {getattr(exc, 'problem', exc)}", field=path.name
        ) from exc
    if root is None or not isinstance(data, dict):
        raise ProductInvalid(f"{path.name}:1 is empty; write a product definition", field=path.name)
    try:
        product = Product.model_validate(data)
    except ValidationError as exc:
        rows = [
            f"{path.name}:{_line_of(root, error['loc'])} {'.'.join(map(str, error['loc'])) or 'product'}: {error['msg']}"
            for error in exc.errors()
        ]
        raise ProductInvalid("\n".join(rows), field=".".join(map(str, exc.errors()[0]["loc"]))) from exc
    wanted = f"{product.product}.v{product.version}.yaml"
    if path.name != wanted:
        raise ProductInvalid(f"{path.name}:1 product/version: this definition must be named {wanted}", field="product")
    return product


def load_products(folder: Path | None = None) -> list[Product]:
    """Every definition of a folder (the shipped shelf by default), by product and version."""
    files = sorted((folder or SHELF).glob("*.yaml"))
    if not files:
        raise ProductInvalid(f"{folder or SHELF} holds no *.yaml product definition", field="products_dir")
    return sorted((load_product(f) for f in files), key=lambda p: (p.product, p.version))
