"""What the service answers to whatever the OpenAPI document allows, and forbids: `python tests/service/fuzzed_service.py`.

Sends generated cases with a token of each role, and judges each answer by the document: no 5xx but a 503 that is told of,
no status, media type or body that it does not have. Prints how many cases there were and what was wrong; the exit code
is 1 if anything was.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance as content_type
from schemathesis.specs.openapi.checks import response_headers_conformance as response_headers
from schemathesis.specs.openapi.checks import response_schema_conformance as response_schema
from schemathesis.specs.openapi.checks import status_code_conformance as status_code
from served import Served

__all__ = ["Fuzzed", "fuzz"]

_TOKENS = "read:read-token,submit:submit-token,admin:admin-token"
_ROLES = ("read", "submit", "admin")
_CHECKS = [not_a_server_error, status_code, content_type, response_schema, response_headers]
_STREAMS = ("/v1/events", "/v1/jobs/{id}/events")  # which do not end


@dataclass
class Fuzzed:
    """What came of it."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many cases were sent."""
        return self.cases.total()


def fuzz(service: Served, cases: int, start: int = 0) -> Fuzzed:
    """Send so many cases, as many of each operation and role."""
    found = Fuzzed()
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations()]  # type: ignore[union-attr]  # it raises
    operations = [each for each in operations if each.path not in _STREAMS]
    known = [
        service.submit("http://127.0.0.1:1/", retry={"attempts": 1}, webhook={"url": "http://127.0.0.1:1/"})
        for _ in range(3)
    ]
    each = -(-cases // (len(operations) * len(_ROLES) * 2))
    for role in _ROLES:
        for number, operation in enumerate(operations):
            for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                _ask(service, operation, role, mode, each, start + number, known, found)
    return found


def _ask(
    service: Served, operation: Any, role: str, mode: Any, cases: int, start: int, known: list[str], found: Fuzzed
) -> None:
    """Send cases of one operation."""
    headers = {"Authorization": f"Bearer {role}-token"}

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), id=st.sampled_from([None, *known]))
    def send(case: Any, id: str | None) -> None:
        if id is not None and mode is schemathesis.GenerationMode.POSITIVE and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = id
        answer = case.call(headers=headers, timeout=60)
        found.cases[role] += 1
        found.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=_CHECKS)
        except (AssertionError, schemathesis.errors.SchemathesisError, BaseExceptionGroup) as exc:
            found.faults.setdefault(
                f"{operation.label} {answer.status_code} {type(exc).__name__}",
                f"{role}: {case.as_curl_command()}\n{exc}\n{answer.text[:500]}",
            )

    try:
        send()
    except Unsatisfiable:
        return  # there is nothing that could be wrong
    except Exception as exc:
        found.faults.setdefault(f"{operation.label} {mode.name}", f"{type(exc).__name__}: {exc}"[:2000])


def main() -> int:
    """Run it by hand."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Served(str(Path(folder) / "fuzzed.sqlite"), Path(folder), tokens=_TOKENS)
        service.http.headers["Authorization"] = "Bearer admin-token"
        try:
            found = fuzz(service.start(), given.cases, given.seed)
        finally:
            service.stop()
    print(f"{found.total} cases: {dict(found.cases)}, statuses {dict(sorted(found.statuses.items()))}")
    for name, text in found.faults.items():
        print(f"--- {name}\n{text}")
    print(f"{len(found.faults)} faults")
    return bool(found.faults)


if __name__ == "__main__":
    sys.exit(main())
