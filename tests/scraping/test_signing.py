"""Identities and signatures, checked by another implementation."""

import base64
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms

from workerpool.scraping.identity import make_identity
from workerpool.scraping.signing import Signer, pem_of, thumbprint

AGENT = "https://bot.example.org"
# RFC 9421, B.1.4, and its thumbprint as the drafts have it.
TEST_KEY = base64.urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU=")
TEST_ID = "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"


class Directory(HTTPSignatureKeyResolver):
    """Find keys as a site does that has fetched the directory."""

    def __init__(self, text):
        self._keys = {
            each["kid"]: Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(each["x"] + "="))
            for each in json.loads(text)["keys"]
        }

    def resolve_public_key(self, key_id):
        """Return the key of this name."""
        return self._keys[key_id]


def verified(directory, url, headers):
    """Return what the other implementation has verified."""
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=directory)
    message = SimpleNamespace(method="GET", url=url, headers=dict(headers))
    return verifier.verify(message, expect_tag="web-bot-auth", max_age=timedelta(minutes=5))[0]


@pytest.fixture
def identity(tmp_path):
    return make_identity(tmp_path / "identity", f"{AGENT}/")


@pytest.mark.parametrize("as_member", [False, True])
@pytest.mark.parametrize("url", ["https://Site.Example/a?b=c", "http://site.example:8080/", "https://site.example:443", "https://b\u00fccher.example/"])  # fmt: skip
def test_a_signed_request_is_verified_by_another_implementation(identity, url, as_member):
    """With nothing but the directory file."""
    signer = Signer.load(identity.key, AGENT, as_member=as_member)
    sent = url.replace("\u00fc", "u") if "\u00fc" in url else url
    sent = "https://xn--bcher-kva.example/" if "\u00fc" in url else sent
    found = verified(Directory(identity.directory.read_text()), sent, signer.headers(url))
    assert identity.key_id == signer.key_id == found.parameters["keyid"]
    assert "ed25519" == found.parameters["alg"]
    assert {'"@authority"', '"signature-agent";key="sig1"' if as_member else '"signature-agent"'} <= set(
        found.covered_components
    )
    assert found.parameters["created"] + 60 == int(found.parameters["expires"])


def test_a_signature_is_for_one_host(identity):
    """At another one, and later, it is refused."""
    signer, directory = Signer.load(identity.key, AGENT), Directory(identity.directory.read_text())
    headers = signer.headers("https://site.example/")
    with pytest.raises(InvalidSignature):
        verified(directory, "https://other.example/", headers)
    old = signer.headers("https://site.example/", now=(datetime.now(UTC) - timedelta(minutes=3)).timestamp())
    with pytest.raises(InvalidSignature):
        verified(directory, "https://site.example/", old)
    changed = dict(headers) | {"Signature-Agent": '"https://evil.example"'}
    with pytest.raises(InvalidSignature):
        verified(directory, "https://site.example/", changed)


def test_each_request_has_a_signature_of_its_own(identity):
    """By its nonce."""
    signer = Signer.load(identity.key, AGENT)
    assert 100 == len({dict(signer.headers("https://a.example/"))["Signature"] for _ in range(100)})


def test_the_headers_are_as_the_drafts_have_them():
    """Letter by letter, for the key of RFC 9421."""
    key = Ed25519PrivateKey.from_private_bytes(TEST_KEY)
    assert TEST_ID == thumbprint(key.public_key())
    headers = dict(Signer(key, AGENT).headers("https://example.com/", now=1735689600, nonce=b"x"))
    assert f'"{AGENT}"' == headers["Signature-Agent"]
    assert headers["Signature-Input"] == (
        'sig1=("@authority" "signature-agent");created=1735689600;expires=1735689660'
        f';keyid="{TEST_ID}";alg="ed25519";nonce="eA==";tag="web-bot-auth"'
    )
    assert headers["Signature"].startswith("sig1=:")


def test_an_identity_is_a_key_and_a_directory(identity):
    """The key for its owner only; the directory without the secret."""
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(identity.key.stat().st_mode)
    (jwk,) = json.loads(identity.directory.read_text())["keys"]
    assert {"kty", "crv", "x", "kid", "use"} == jwk.keys()
    assert identity.key_id == jwk["kid"]
    assert f"{AGENT}/.well-known/http-message-signatures-directory" == identity.url
    assert "http-message-signatures-directory" == identity.directory.name


@pytest.mark.parametrize("there", ["private-key.pem", "http-message-signatures-directory"])
def test_an_identity_is_never_overwritten(tmp_path, there):
    """Nor is half of another one left beside it."""
    (tmp_path / there).write_text("mine")
    with pytest.raises(FileExistsError):
        make_identity(tmp_path, AGENT)
    assert {there: "mine"} == {path.name: path.read_text() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("agent", ["http://bot.example.org", "bot.example.org", "https://bot.example.org/x", "https://u:p@bot.example.org", "https://", 'https://a"b/', "https://bot.example.org/?x", ""])  # fmt: skip
def test_an_agent_is_the_site_of_the_directory(tmp_path, agent):
    """By https, and nothing is written for another one."""
    with pytest.raises(ValueError, match="the agent"):
        make_identity(tmp_path / "x", agent)
    assert not (tmp_path / "x").exists()


def test_a_key_that_cannot_be_used_is_refused(tmp_path):
    """With the cure."""
    path = tmp_path / "key.pem"

    def refused(data, mode=0o600):
        path.write_bytes(data)
        path.chmod(mode)
        with pytest.raises(ValueError) as found:
            Signer.load(path, AGENT)
        return str(found.value)

    pem = pem_of(Ed25519PrivateKey.generate())
    assert "no private key" in refused(b"hello")
    assert "no private key" in refused(pem[:60])
    if os.name == "posix":
        assert "chmod 600" in refused(pem, 0o644)
    other = generate_private_key(SECP256R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    assert "not for Ed25519" in refused(other.private_bytes(*form, serialization.NoEncryption()))
    secret = Ed25519PrivateKey.generate().private_bytes(*form, serialization.BestAvailableEncryption(b"x"))
    assert "without a password" in refused(secret)
    with pytest.raises(ValueError, match="lifetime"):
        Signer(Ed25519PrivateKey.generate(), AGENT, lifetime=0)


def test_no_secret_is_shown(identity):
    """Only the key's id."""
    assert f"<Signer {identity.key_id} of {AGENT}>" == repr(Signer.load(identity.key, AGENT))
