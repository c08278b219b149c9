"""The texts of notifications: templates with variables such as {{account.number}}, checked against their kind, and
filled in.

A text that names a variable that its kind does not have, or leaves out one that it needs, is refused with its file,
line and field, so that no mail with a gap ever leaves.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import BadInput
from domain.notifications.kinds import BY_NAME, Kind
from domain.quoting import cut

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]{0,80}?)\s*\}\}")
_BRACES: Final = re.compile(r"\{\{|\}\}")
_ACTIVE: Final = re.compile(
    r"<\s*/?\s*(script|iframe|object|embed|form|link|meta|style|img|svg)\b|\bon\w+\s*=|javascript:", re.IGNORECASE
)
FIELDS: Final = ("subject", "short", "text", "html")


class Template(BaseModel):
    """`subject`: of the mail, and the heading in the console. `short`: one or two sentences in the console. `text`: the
    mail. `html`: a second form of the mail for readers that show it; empty for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=150)
    short: str = Field(min_length=1, max_length=400)
    text: str = Field(min_length=1, max_length=2000)
    html: str = Field("", max_length=2000)


@dataclass(frozen=True, slots=True)
class Filled:
    """A notification as people read it."""

    subject: str
    short: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field. `offset`: of the character in its text; -1: something is left out."""

    field: str
    problem: str
    offset: int = -1


class Texts(BaseModel):
    """The texts of every kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: dict[str, Template]

    @property
    def content_hash(self) -> str:
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


def faults(kind: Kind, template: Template) -> list[Fault]:
    """Returns what is wrong with a template of this kind; nothing when it may be used."""
    known, found = kind.by_name, list[Fault]()
    for field in FIELDS:
        text: str = getattr(template, field)
        for each in _PLACEHOLDER.finditer(text):
            if each[1] not in known:
                near = get_close_matches(each[1], known, n=1)
                hint = f"did you mean {{{{{near[0]}}}}}?" if near else f"{kind.name} has {', '.join(known)}"
                found.append(Fault(field, f"there is no variable {{{{{cut(each[1], 40)}}}}}; {hint}", each.start()))
        left = _PLACEHOLDER.sub(lambda each: " " * len(each[0]), text)
        if (brace := _BRACES.search(left)) is not None:
            found.append(Fault(field, "braces that are not closed or not opened", brace.start()))
    if "\n" in template.subject.strip():
        found.append(Fault("subject", "a subject is one line", template.subject.index("\n")))
    if (active := _ACTIVE.search(template.html)) is not None:
        found.append(Fault("html", f"{cut(active[0], 20)} does not belong into a mail", active.start()))
    bodies = [field for field in ("text", "html") if getattr(template, field)] if "mail" in kind.channels else ["text"]
    for field in bodies:
        used = set(_PLACEHOLDER.findall(getattr(template, field)))
        for variable in kind.variables:
            if variable.needed and variable.name not in used:
                problem = f"{{{{{variable.name}}}}} ({variable.means}) is left out, and readers need it"
                found.append(Fault(field, problem))
    return found


def fill(kind: Kind, template: Template, values: Mapping[str, str]) -> Filled:
    """Returns the texts with their values. Values in `html` are escaped. Raises BadInput when a value is missing."""
    wanted = {name for field in FIELDS for name in _PLACEHOLDER.findall(getattr(template, field))}
    if missing := sorted(name for name in wanted if not values.get(name)):
        raise BadInput(f"{kind.name} needs {', '.join(missing)}.", field="kind")

    def plain(text: str) -> str:
        return _PLACEHOLDER.sub(lambda each: values[each[1]], text).strip()

    def marked(each: re.Match[str]) -> str:
        safe = escape(values[each[1]])
        return safe.replace("\n", "<br>\n") if kind.by_name[each[1]].type == "lines" else safe

    return Filled(
        subject=" ".join(plain(template.subject).split()),
        short=plain(template.short),
        text=plain(template.text) + "\n",
        html=_PLACEHOLDER.sub(marked, template.html).strip(),
    )


def complete(templates: Mapping[str, Template]) -> Texts:
    """Raises BadInput when the templates are not those of all kinds."""
    if templates.keys() != BY_NAME.keys():
        different = sorted(templates.keys() ^ BY_NAME.keys())
        raise BadInput(f"The texts of {', '.join(different)} are missing or not known.", field="kind")
    return Texts(templates=dict(templates))


def examples(kind: Kind) -> dict[str, str]:
    return {variable.name: variable.example for variable in kind.variables}
