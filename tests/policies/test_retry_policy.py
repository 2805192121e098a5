"""The retry budget, the circuit breaker and the Retry itself, by a clock of the test's."""

import pytest

from workerpool import Retry
from workerpool.policies.breaker import Breaker
from workerpool.policies.budget import RetryBudget


def test_a_breaker_lets_one_probe_through():
    """Closed, open, half open; the pause doubles with each probe that fails."""
    now = 0.0
    breaker = Breaker(clock=lambda: now)
    for _ in range(9):
        breaker.failed("host")
    assert breaker.wait("host") is None
    for _ in range(5):
        breaker.failed("host")  # those under way when it opens change nothing
    assert 0.5 == breaker.wait("host")
    now = 0.5
    assert breaker.wait("host") is None  # the probe
    assert 0.5 == breaker.wait("host")
    breaker.failed("host")
    assert 1.0 == breaker.wait("host")
    now = 1.5
    assert breaker.wait("host") is None
    breaker.reached("host")
    assert breaker.wait("host") is None
    assert not breaker.circuits


def test_a_budget_is_saved_up_and_bounded():
    """Good answers pay one retry each, first attempts a tenth."""
    budget = RetryBudget(2)
    assert 4 == sum(budget.take() for _ in range(10))
    for _ in range(100):
        budget.attempted()
    assert 9 <= sum(budget.take() for _ in range(100)) <= 10
    for _ in range(1000):
        budget.succeeded()
    assert 50 <= sum(budget.take() for _ in range(1000)) <= 51


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"attempts": 1.5}, {"wait_initial": -1}, {"wait_max": float("nan")}, {"wait_exp_base": 0},
     {"on_retry": "no function"}, {"methods": "GET"}, {"statuses": ["503"]}, {"statuses": 503}],
)  # fmt: skip
def test_impossible_retries_are_refused(options):
    """When the Retry is made, with the field's name."""
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        Retry(**options)
