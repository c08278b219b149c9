"""`propos init`: the secrets and settings of a production installation."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import typer

from cli.secret_file import new_key
from domain.errors import BadInput, Conflict

_PASSWORD_BYTES: Final = 32
_ADAPTERS: Final = """\
# The adapters of this firm, each set by PROPOS_GROUP__NAME__FIELD. docs/settings.md lists the groups, and the page of
# an adapter its fields. A value may be a file instead: name it like the variable, put it into secrets/, and add it to
# the secrets in docker-compose.yml.
#
# PROPOS_PLATFORMS__MT5__URL=https://mt5.example.com
# PROPOS_ACQUIRERS__STRIPE__ACCOUNT=acct_...
# PROPOS_RAILS__BANK__FOLDER=/bank
# PROPOS_MAIL__SMTP__HOST=smtp.example.com
# PROPOS_MAIL_FROM=Example Prop <support@example.com>
"""


def init(folder: Path, public_url: str) -> None:
    """Writes `secrets/`, `.env` and `adapters.env` into `folder`. Changes nothing that is there.

    Raises BadInput for an address that browsers could not use, Conflict if there are secrets already.
    """
    address = urlsplit(public_url)
    safe = address.scheme == "https" or address.hostname in ("127.0.0.1", "localhost")
    if not safe or not address.hostname or address.path.strip("/"):
        raise BadInput(
            f"{public_url!r} is not the address of a site.",
            field="--public-url",
            remedy="Write it like https://desk.example.com: with https, without a path.",
        )
    kept, settings, adapters = folder / "secrets", folder / ".env", folder / "adapters.env"
    for path in (kept, settings):
        if path.exists():
            raise Conflict(
                f"{path} exists. Nothing was changed: data that are encrypted with lost keys cannot be read again.",
                remedy="Use what is there (docs/production.md, From .env to secrets), or choose another --out.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    making = folder / "secrets.new"  # renamed when it is complete
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)  # its files must be readable in a container, whatever user that has
    for name, value in _secrets().items():
        _write(making / name, value, 0o444)
    _write(settings, f"PROPOS_PUBLIC_URL={public_url.rstrip('/')}\n", 0o600)
    if not adapters.exists():
        _write(adapters, _ADAPTERS, 0o600)
    making.rename(kept)
    typer.echo(f"Wrote {kept}, {settings} and {adapters}.")
    typer.echo(f"Keep a copy of {kept} in another place than the backups: without it they cannot be read.")
    typer.echo("Next: fill in adapters.env, then follow docs/production.md.")


def _secrets() -> dict[str, str]:
    """Returns the content of each file by name. The names are those of variables, but for PostgreSQL's own password."""
    owner, app = (secrets.token_urlsafe(_PASSWORD_BYTES) for _ in range(2))
    return {
        "POSTGRES_PASSWORD": owner,
        "PROPOS_OWNER_DATABASE_URL": f"postgresql://propos:{quote(owner)}@postgres/propos",
        "DATABASE_URL": f"postgresql://propos_app:{quote(app)}@postgres/propos",
        "PROPOS_PAYLOAD_KEYS": f"k1:{new_key()}",
        "PROPOS_DIGEST_KEY": new_key(),
    }


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    path.chmod(mode)  # whatever the umask is
