"""How long a failed job waits."""

import pytest

from app.errors import TemporaryFailure
from app.job_queue import Retry

RETRY = Retry(attempts_max=100, first_wait_seconds=10, longest_wait_seconds=600)


@pytest.mark.parametrize(
    ("failed_attempts", "full"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (2000, 600)]
)
def test_waits_double_up_to_the_longest_and_are_jittered_by_half(failed_attempts, full):
    waits = [RETRY.wait_seconds(failed_attempts, ValueError()) for _ in range(500)]

    assert full / 2 <= min(waits) < full * 0.6
    assert full * 0.9 < max(waits) <= full


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(1, 5, 10), (100, 100, 110), (10_000, 10_000, 11_000), (1e12, 86_400, 95_040)],
)
def test_a_service_that_asks_for_a_pause_gets_it(asked, least, most):
    error = TemporaryFailure("429", retry_after_seconds=asked)
    waits = [RETRY.wait_seconds(1, error) for _ in range(500)]

    assert least <= min(waits)
    assert max(waits) <= most
