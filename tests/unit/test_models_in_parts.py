"""Tables are described when they are asked for, each with those that it refers to."""

from store.models import every_table, parts
from store.models.base import Base


def test_each_class_is_found_in_its_module_and_what_its_table_refers_to_comes_along() -> None:
    tables = every_table().tables
    described = {mapper.class_.__name__: mapper for mapper in Base.registry.mappers}
    modules = {name: mapper.class_.__module__.removeprefix("store.models.") for name, mapper in described.items()}
    assert modules == parts.OF_CLASS
    of_table = {str(mapper.local_table): modules[name] for name, mapper in described.items()}
    refers: dict[str, set[str]] = {}
    for name, table in tables.items():
        others = {of_table[str(key.column.table)] for key in table.foreign_keys} - {of_table[name]}
        refers.setdefault(of_table[name], set()).update(others)
    assert {module: tuple(sorted(others)) for module, others in refers.items() if others} == parts.REFERS
