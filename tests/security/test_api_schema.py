"""The whole API against its own description: made-up requests, valid and not, are answered as it says."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.ids import challenge_workflow
from tests.security.served_api import Served, served_api

EXAMPLES = 2  # of each operation by each person
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WHO = ("admin", "risk", "finance", "tina")
READINESS = "GET /readyz"  # is allowed to say 503: no relay runs here
SIGNS_OUT = frozenset({"DELETE /v1/sessions/current", "DELETE /v1/sessions"})
_NOUNS = {"chl": "challenge_id", "acc": "account_id", "brc": "breach_id", "prf": "proof_id", "dsp": "dispute_id",
          "tkt": "ticket_id"}  # fmt: skip


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    with served_api(database_url) as running:
        challenge = running.world.people["tina"].has("chl")
        status = {"state": "funded", "phase_index": 2}  # a refund of a part leaves it as it is
        running.world.temporal.answers[challenge_workflow(challenge)] = lambda update, request: status
        yield running


def _known(served: Served) -> dict[str, str]:
    """Ids that exist, by the name of the path's parameter."""
    tina = served.world.people["tina"]
    return {name: tina.has(noun) for noun, name in _NOUNS.items()} | {
        "trader_id": tina.trader_id,
        "product": "two-step",
    }


@dataclass
class Asked:
    """The answers by status, and the first of each kind that is not as described."""

    counts: Counter[int] = field(default_factory=Counter)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def note(self, label: str, problem: BaseException, answer: Any) -> None:
        first = re.sub(r"\s+", " ", str(problem))[:200]
        self.wrong.setdefault((label, first), f"{answer.status_code} {answer.text[:200]}")


@pytest.mark.timeout(1500)
def test_every_answer_is_as_the_description_says(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json", wait_for_schema=60)
    found: list[Any] = list(schema.get_all_operations())
    operations = [each.ok() for each in found]
    asked = Asked()
    for operation in operations:
        if operation.label not in SIGNS_OUT:
            _ask(served, operation, asked)
    counts = asked.counts
    told = {"operations": len(operations), "requests": counts.total(), "by status": dict(sorted(counts.items()))}
    record_property("counts", told)
    assert [f"{label}: {problem}: {seen}" for (label, problem), seen in asked.wrong.items()] == []
    assert counts[200] + counts[201] > len(operations), "requests that are carried out are among them"


def _ask(served: Served, operation: Any, asked: Asked) -> None:
    known = _known(served)

    @settings(
        max_examples=EXAMPLES * len(WHO), deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(), who=st.sampled_from(WHO), real=st.booleans(), keyed=st.booleans())
    def ask(case: Any, who: str, real: bool, keyed: bool) -> None:
        if real:
            case.path_parameters.update({name: id for name, id in known.items() if name in case.path_parameters})
        headers = {"Authorization": f"Bearer {served.token(who)}"}
        if keyed and "Idempotency-Key" in (case.headers or {}):
            headers["Idempotency-Key"] = uuid4().hex
        answer = case.call(headers=headers)
        asked.counts[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS if operation.label != READINESS else CHECKS[1:])
        except BaseExceptionGroup as failed:
            for each in failed.exceptions:
                asked.note(operation.label, each, answer)
        except AssertionError as failed:
            asked.note(operation.label, failed, answer)

    ask()
