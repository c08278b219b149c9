"""Every refusal is one class of the tree in domain/errors.py, and of the files that it is spread over."""

import ast
import re
from collections import Counter

from domain import decision_errors, errors, file_errors, key_errors, platform_errors, sign_in_errors
from tests.architecture.source import MODULES, PACKAGES, ROOT, files, tree, where

TREE = {
    name: value
    for module in (errors, file_errors, decision_errors, platform_errors, key_errors, sign_in_errors)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, errors.PropOSError)
}


def test_every_refusal_class_is_defined_in_the_tree() -> None:
    elsewhere = [
        f"{where(path, node.lineno)} {node.name}"
        for path in files(*PACKAGES, *MODULES)
        if path.parent != ROOT / "domain" or not path.name.endswith("errors.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if ast.unparse(base).rpartition(".")[2] in TREE
    ]
    assert elsewhere == []


def test_every_refusal_has_a_type_of_its_own() -> None:
    assert {name for name, kind in TREE.items() if "type" not in vars(kind)} == set()
    types = Counter(kind.type for kind in TREE.values())
    assert {kind: count for kind, count in types.items() if count > 1} == {}


def test_the_tree_at_the_top_of_the_file_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, tuple[str, int | None]] = {}
    parents = ["PropOSError"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:\|   |    )*)[|`]-- (\w+) *(\d{3})?", line)
        if found:
            depth = len(found[1]) // 4 + 1
            parents[depth:] = [found[2]]
            drawn[found[2]] = (parents[depth - 1], int(found[3]) if found[3] else None)
    children = {name: kind for name, kind in TREE.items() if kind is not errors.PropOSError}
    assert {name: parent for name, (parent, _) in drawn.items()} == {
        name: kind.__bases__[0].__name__ for name, kind in children.items()
    }
    for name, (parent, status) in drawn.items():
        assert children[name].status == (status or TREE[parent].status), name
