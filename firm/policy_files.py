"""What the firm's policies have in common: each is read from a YAML file, and announced in the audit log."""

from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.file_errors import PolicyInvalid, YamlInvalid
from firm.products.yaml_text import read_text, read_yaml
from store import audit
from store.clock import market_now

FOLDER: Final = Path(__file__).parents[1] / "policy"  # of the shipped files

P = TypeVar("P", bound=BaseModel)


def read(file: Path, kind: type[P], *, shipped: Path) -> P:
    """Reads a policy. `shipped`: the file that shows how one is written. Raises PolicyInvalid."""
    try:
        _, data = read_yaml(read_text(file), file.name)
        return kind.model_validate(data or {})
    except YamlInvalid as exc:
        raise PolicyInvalid(exc.message, field=file.name, remedy=exc.remedy) from exc
    except ValidationError as exc:
        first = exc.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise PolicyInvalid(
            f"{file.name} {field}: {problem}.", field=field or file.name, remedy=f"See policy/{shipped.name}."
        ) from exc


async def record_published(session: AsyncSession, name: str, *, old: str | None, new: str, by: str) -> None:
    """Records that a policy is in force. `old`, `new`: the hashes of the one before and of this one."""
    await audit.record(
        session,
        action="policy.published",
        subject_kind="policy",
        subject_id=name,
        occurred_at=await market_now(session),
        actor=by,
        role="system",
        evidence={"old": old, "new": new},
    )
