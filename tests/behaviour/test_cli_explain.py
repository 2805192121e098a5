"""`workerpool explain`: errors, stages and calls, in words."""

import pytest
from click.testing import CliRunner

from workerpool.explanations import CALLS, ERRORS, STAGES
from workerpool_cli.command import command


def said(*arguments):
    done = CliRunner().invoke(command, ["explain", *arguments])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("name", ERRORS)
def test_an_error(name):
    """Whatever its case, and with the module before it."""
    code, text = said(f"workerpool.{name.upper()}")
    assert 0 == code
    for part in (name, ERRORS[name].wire, ERRORS[name].cure, ERRORS[name].why):
        assert part in text


def test_an_error_at_a_stage():
    code, text = said("ConnectionLost:headers")
    assert 0 == code
    assert ERRORS["ConnectionLost"].wire in text
    assert STAGES["headers"].cure in text


def test_a_call():
    code, text = said("pool.stream")
    assert 0 == code
    assert ", ".join(CALLS["pool.stream"].raises) in text


def test_without_a_name_all_are_listed():
    code, text = said()
    assert 0 == code
    assert all(name in text for name in [*ERRORS, *STAGES, *CALLS])


def test_what_there_is_not():
    """Is wrong usage, and what is near is told."""
    code, text = said("TSLError")
    assert 2 == code
    assert "did you mean TLSError" in text
    assert (2, True) == (said("x" * 9)[0], "lists all" in said("x" * 9)[1])
