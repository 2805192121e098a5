"""Whatever the document allows or forbids is answered as the document says: a small run of fuzzed_service.py."""

import pytest
from fuzzed_service import fuzz
from served import served

TOKENS = "read:read-token,submit:submit-token,admin:admin-token"


@pytest.fixture(scope="module")
def guarded(new_database, tmp_path_factory):
    with served(new_database(), tmp_path_factory.mktemp("fuzzed"), tokens=TOKENS) as service:
        service.http.headers["Authorization"] = "Bearer admin-token"
        yield service


def test_each_answer_is_documented(guarded):
    """No 5xx, no status, type, body or header that the document does not have; for each role."""
    found = fuzz(guarded, 250)
    assert not found.faults, "\n".join(f"{name}\n{text}" for name, text in found.faults.items())
    assert found.cases.keys() == {"read", "submit", "admin"}
    assert found.total >= 150


def test_the_document_is_whole(guarded):
    """Each call has its role, its problems, examples of what is sent; health needs no token."""
    document = guarded.get("/openapi.json")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert {"400", "401", "403", "404", "405", "406", "422", "503"} <= operation["responses"].keys(), place
            assert operation["summary"], place
            assert "Retry-After" in operation["responses"]["503"]["headers"], place
            assert (operation["security"] == []) == (path in ("/healthz", "/readyz")), place
    assert document["paths"]["/v1/jobs"]["post"]["security"][0] == {"token": ["submit"]}
    assert document["components"]["schemas"]["JobIn"]["examples"]
    assert "Location" in document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["headers"]
    named = set(document["components"]["schemas"])
    assert "HTTPValidationError" not in named
