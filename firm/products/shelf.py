"""The shelf: reads product definitions (YAML) and names the file, line and field of every error.

Reading a definition touches no database: the files in `products/` are data, and what is sold is on the record.
"""

from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Final

import yaml
from pydantic import ValidationError

from domain.file_errors import Fault, ProductInvalid, YamlInvalid
from domain.products import checks as product_checks
from domain.products.product import Product
from domain.quoting import cut, quoted
from firm.products.shelf_errors import Path, explained
from firm.products.yaml_text import read_text, read_yaml

SHELF = FilePath(__file__).parents[2] / "products"
EXAMPLES = SHELF / "examples"  # to copy from; `load_products` of the shelf leaves them out
# asked only when a rule names one: the calendars take a moment to load
Venues = Callable[[], Collection[str]]
_MOST_ROWS: Final = 50  # of one error
_LONGEST_ROW: Final = 600


def line_of(node: yaml.Node, path: tuple[int | str, ...]) -> int:
    """Returns the line of `path` in the document, or of the last part of it that exists."""
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


def _repeated(
    node: yaml.Node, path: tuple[str, ...] = (), seen: set[int] | None = None
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, path) of every key that its mapping has before: YAML would silently keep the last one."""
    seen = set() if seen is None else seen
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _repeated(item, (*path, str(number)), seen)
    elif isinstance(node, yaml.MappingNode):
        known: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused as a key when it is read
            where = (*path, key.value)
            if key.value in known:
                yield key.start_mark.line + 1, where
            known.add(key.value)
            yield from _repeated(value, where, seen)


def _checked(name: str, root: yaml.Node | None) -> yaml.MappingNode:
    """Returns the document if it is one mapping without repeated keys. Raises ProductInvalid."""
    if root is None:
        raise _whole(name, 1, "is empty; write a product definition")
    if not isinstance(root, yaml.MappingNode):
        shape = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        line = root.start_mark.line + 1
        raise _whole(name, line, f"is {shape}; write a product definition as `field: value`")
    twice = [(line, _dotted(path)) for line, path in _repeated(root)]
    if twice:
        faults = [Fault(line, field, "is set twice; keep one of them") for line, field in twice[:_MOST_ROWS]]
        raise _listed(name, faults, len(twice), twice[0][1])
    return root


def _whole(name: str, line: int, problem: str) -> ProductInvalid:
    return ProductInvalid(f"{name}:{line} {problem}", field=name, faults=(Fault(line, "", f"it {problem}"),))


def read_product(text: str, name: str, venues: Venues | None = None) -> Product:
    """Read a definition (YAML, and so JSON too) that `name` holds; raises ProductInvalid with a
    `name:line field: problem` row per error. `venues` returns the names of the venue calendars; without it their names
    are not checked."""
    try:
        found, data = read_yaml(text, name)
    except YamlInvalid as exc:
        problem = exc.message.removeprefix(f"{name}:{exc.line} ").removeprefix(f"{name}: ")
        fault = Fault(exc.line, "", f"it {problem}. {exc.remedy or ''}".strip())
        raise ProductInvalid(exc.message, field=name, remedy=exc.remedy, faults=(fault,)) from exc
    root = _checked(name, found)
    try:
        product = Product.model_validate(data)
    except ValidationError as exc:
        raise _refused(name, root, [explained(error) for error in exc.errors()]) from exc
    promised = list(product_checks.not_applied(product, new=False))
    promised += product_checks.floors_not_sold(product.places(), product.initial_minors)
    promised += product_checks.prices_not_sold(product.prices(), product.currency)
    if promised:
        raise _refused(name, root, promised)
    if venues is not None:
        _check_venues(product, name, root, venues)
    return product


def _check_venues(product: Product, name: str, root: yaml.MappingNode, venues: Venues) -> None:
    named = list(product_checks.venues(product.places()))
    known = venues() if named else ()
    unknown = [(where, _no_venue(venue, known)) for where, venue in named if venue not in known]
    if unknown:
        raise _refused(name, root, unknown)


def _no_venue(venue: str, known: Collection[str]) -> str:
    near = get_close_matches(cut(venue).upper(), known, n=3, cutoff=0.4) or sorted(known)[:5]
    names = ", ".join(near)
    return f"there is no venue calendar {quoted(venue)}; use a name such as {names}, or a wall time with its zone"


def _refused(name: str, root: yaml.MappingNode, problems: list[tuple[Path, str]]) -> ProductInvalid:
    faults = [
        Fault(line_of(root, where), _dotted(where) or "product", cut(text, _LONGEST_ROW))
        for where, text in problems[:_MOST_ROWS]
    ]
    return _listed(name, faults, len(problems), _dotted(problems[0][0]))


def _listed(name: str, shown: list[Fault], total: int, field: str) -> ProductInvalid:
    rows = [f"{name}:{fault.line} {fault.field}: {fault.problem}" for fault in shown]
    if total > len(shown):
        more = f"{total - len(shown)} more errors are not listed"
        rows.append(f"{name}: {more}")
        shown = [*shown, Fault(None, "", more)]
    return ProductInvalid("\n".join(rows), field=field, faults=shown)


def _dotted(where: Path) -> str:
    return ".".join(cut(str(step)) for step in where)


def read_file(path: FilePath, venues: Venues | None = None) -> Product:
    """Read one definition whatever its file is called; raises ProductInvalid."""
    try:
        text = read_text(path)
    except YamlInvalid as exc:
        raise ProductInvalid(exc.message, field=path.name, remedy=exc.remedy) from exc
    return read_product(text, path.name, venues)


def load_product(path: FilePath, venues: Venues | None = None) -> Product:
    """Read one definition of a shelf. Its file must be named after it. Raises ProductInvalid."""
    product = read_file(path, venues)
    wanted = f"{product.product}.v{product.version}.yaml"
    if path.name != wanted:
        raise ProductInvalid(f"{path.name}:1 product/version: this definition must be named {wanted}", field="product")
    return product


def load_products(folder: FilePath | None = None, venues: Venues | None = None) -> list[Product]:
    """Returns every definition of a folder (by default the shipped products), by product and version."""
    files = sorted((folder or SHELF).glob("*.yaml"))
    if not files:
        raise ProductInvalid(f"{folder or SHELF} holds no *.yaml product definition", field="products_dir")
    return sorted((load_product(f, venues) for f in files), key=lambda p: (p.product, p.version))
