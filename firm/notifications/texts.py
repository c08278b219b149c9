"""The texts of notifications: read from files, put in force on the record, and read from there.

The shipped file of each kind is in `policy/notifications/`. A firm has a folder of its own with the files that it
changes; every other kind keeps its shipped text.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.file_errors import PolicyInvalid, YamlInvalid
from domain.notifications import texts
from domain.notifications.kinds import BY_NAME
from domain.notifications.texts import Fault, Template, Texts
from firm import policy_files
from firm.products.yaml_text import read_text, read_yaml
from store.models import NotificationTextsRow

SHIPPED: Final = policy_files.FOLDER / "notifications"
_IN_FORCE: Final = "notification_texts"  # as this transaction has read it
_read: dict[str, Texts] = {}  # the newest version by its hash


def load(folder: Path | None = None) -> Texts:
    """Reads the texts of every kind. `folder`: the firm's own files, which go before the shipped ones. Raises
    PolicyInvalid, which names file, line and field."""
    shipped = {file.stem: file for file in SHIPPED.glob("*.yaml")}
    own = {} if folder is None else _own(folder)
    return texts.complete({name: _template(name, own.get(name) or shipped[name]) for name in BY_NAME})


def _own(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise PolicyInvalid(
            f"{folder} is no folder.", field="PROPOS_NOTIFICATION_TEXTS", remedy="Name the folder of your own texts."
        )
    found = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    for name, file in found.items():
        if name not in BY_NAME:
            raise PolicyInvalid(
                f"{file.name}: there is no kind of notification {name}.",
                field=file.name,
                remedy=f"Name the file after one of: {', '.join(BY_NAME)}.",
            )
    return found


def _template(name: str, file: Path) -> Template:
    try:
        root, data = read_yaml(read_text(file), file.name)
        template = Template.model_validate(data or {})
    except YamlInvalid as exc:
        raise PolicyInvalid(exc.message, field=file.name, remedy=exc.remedy) from exc
    except ValidationError as exc:
        first = exc.errors(include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else file.name
        problem = first["msg"].removeprefix("Value error, ")
        raise _invalid(file, _line(root, Fault(field, "")), field, problem) from exc
    wrong = texts.faults(BY_NAME[name], template)
    if wrong:
        raise _invalid(file, _line(root, wrong[0], data), wrong[0].field, wrong[0].problem)
    return template


def _invalid(file: Path, line: int, field: str, problem: str) -> PolicyInvalid:
    remedy = f"See policy/notifications/{file.name}, and docs/notifications.md for its variables."
    return PolicyInvalid(f"{file.name}:{line} {field}: {problem}.", field=field, remedy=remedy)


def _line(root: yaml.Node | None, fault: Fault, data: Any = None) -> int:
    """Returns the line of what is wrong: in a block, that of the character; else that of the field."""
    if not isinstance(root, yaml.MappingNode):
        return 1
    for key, value in root.value:
        if key.value != fault.field:
            continue
        line: int = key.start_mark.line + 1
        if fault.offset < 0 or data is None or getattr(value, "style", None) not in ("|", ">"):
            return line
        return line + 1 + str(data[fault.field])[: fault.offset].count("\n")
    return 1


@cache
def shipped() -> Texts:
    """Returns the shipped texts. They are in force until others are published."""
    return load()


async def publish(session: AsyncSession, wanted: Texts, *, by: str = "system") -> None:
    """Puts texts in force, with an audit entry. Those that are in force already change nothing."""
    before = await _newest_hash(session)
    if before == wanted.content_hash:
        return
    session.add(NotificationTextsRow(content_hash=wanted.content_hash, body=wanted.model_dump(mode="json")))
    await session.flush()
    session.info.pop(_IN_FORCE, None)
    await policy_files.record_published(session, "notifications", old=before, new=wanted.content_hash, by=by)


async def in_force(session: AsyncSession) -> Texts:
    """Returns the texts in force, the same ones within a transaction."""
    known: Texts | None = session.info.get(_IN_FORCE)
    if known is None:
        known = session.info[_IN_FORCE] = await _newest(session)
    return known


async def _newest_hash(session: AsyncSession) -> str | None:
    newest = select(NotificationTextsRow.content_hash).order_by(NotificationTextsRow.number.desc()).limit(1)
    found: str | None = await session.scalar(newest)
    return found


async def _newest(session: AsyncSession) -> Texts:
    """Reads a version once in a process: it never changes. One that an earlier release published lacks the kinds that
    came later; they have their shipped text."""
    content_hash = await _newest_hash(session)
    if content_hash is None:
        return shipped()
    if content_hash not in _read:
        body = await session.scalar(
            select(NotificationTextsRow.body).where(NotificationTextsRow.content_hash == content_hash).limit(1)
        )
        published = Texts.model_validate(body).templates
        _read.clear()
        _read[content_hash] = texts.complete({name: published.get(name, shipped().templates[name]) for name in BY_NAME})
    return _read[content_hash]
