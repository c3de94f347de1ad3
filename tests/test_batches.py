import asyncio
from collections.abc import Sequence

import pytest

from app.batches import Batches


class Work:
    """Holds each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if 13 in items:
            raise ValueError("13")
        return [item * 10 for item in items]


async def asked(batches: Batches[int, int], *items: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batches.do(item)) for item in items]
    for _ in range(3):  # each has come, and nothing is awaited that is not ready
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_batch_is_under_way_goes_together_with_the_next() -> None:
    work = Work()
    batches = Batches(work, most=3, is_of_all=lambda _error: False)
    tasks = [*await asked(batches, 1), *await asked(batches, 2, 3, 4, 5)]
    work.gate.set()

    assert await asyncio.gather(*tasks) == [10, 20, 30, 40, 50]
    assert work.batches == [[1], [2, 3, 4], [5]]


async def test_one_that_cannot_be_done_spoils_no_other() -> None:
    work = Work()
    batches = Batches(work, most=10, is_of_all=lambda _error: False)
    tasks = [*await asked(batches, 1), *await asked(batches, 2, 13, 4)]
    work.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert [done[0], done[1], done[3]] == [10, 20, 40]
    assert isinstance(done[2], ValueError)


async def test_what_fails_for_all_is_not_tried_for_each() -> None:
    work = Work()
    batches = Batches(work, most=10, is_of_all=lambda error: isinstance(error, ValueError))
    tasks = [*await asked(batches, 1), *await asked(batches, 2, 13, 4)]
    work.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(each) for each in done] == [int, ValueError, ValueError, ValueError]
    assert work.batches == [[1], [2, 13, 4]]
    assert await batches.do(5) == 50


async def test_a_request_that_goes_away_leaves_the_others_their_answers() -> None:
    work = Work()
    batches = Batches(work, most=10, is_of_all=lambda _error: False)
    first, second = await asked(batches, 1, 2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    work.gate.set()

    assert await first == 10
    assert await batches.do(3) == 30


async def test_whoever_comes_right_after_an_answer_is_not_forgotten() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(work, most=10, is_of_all=lambda _error: False)

    async def one_after_another() -> list[int]:
        return [await batches.do(item) for item in range(3)]

    assert await asyncio.wait_for(one_after_another(), 5) == [0, 10, 20]
