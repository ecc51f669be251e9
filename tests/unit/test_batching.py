"""Items gather into batches, and each gets its own answer."""

import asyncio
from collections.abc import Sequence

from indexer.batching import Batcher


class Doubling:
    """Doubles numbers; remembers the batches; 13 is refused, a batch with 99 fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        if 99 in items:
            raise RuntimeError("the call failed")
        return [ValueError("13") if item == 13 else item * 2 for item in items]


async def submit_all(doubling: Doubling, items: list[int], size_max: int = 4) -> list[int | BaseException]:
    batcher = Batcher(doubling, size_max, lambda: 0.01)
    runner = asyncio.create_task(batcher.run())
    answers = await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)
    return answers


def test_a_full_batch_goes_at_once_and_the_rest_after_lingering() -> None:
    doubling = Doubling()
    answers = asyncio.run(submit_all(doubling, [1, 2, 3, 4, 5, 6]))
    assert answers == [2, 4, 6, 8, 10, 12]
    assert doubling.batches == [[1, 2, 3, 4], [5, 6]]


def test_an_exception_among_the_results_reaches_its_submitter_alone() -> None:
    answers = asyncio.run(submit_all(Doubling(), [1, 13, 3]))
    assert [answers[0], answers[2]] == [2, 6]
    assert isinstance(answers[1], ValueError)


def test_a_failed_call_reaches_all_of_its_batch_and_the_next_batch_goes_on() -> None:
    answers = asyncio.run(submit_all(Doubling(), [1, 99, 3], size_max=2))
    assert [type(answers[0]), type(answers[1]), answers[2]] == [RuntimeError, RuntimeError, 6]


def test_a_submitter_that_was_cancelled_is_left_out() -> None:
    async def scenario() -> list[list[int]]:
        doubling = Doubling()
        batcher = Batcher(doubling, 2, lambda: 10)
        gone = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        runner = asyncio.create_task(batcher.run())
        assert await batcher.submit(2) == 4
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        return doubling.batches

    assert asyncio.run(scenario()) == [[2]]


def test_what_arrives_while_a_batch_is_handled_waits_from_its_arrival_on() -> None:
    async def scenario() -> float:
        loop, ahead = asyncio.get_running_loop(), [0.0]
        clock = loop.time
        loop.time = lambda: clock() + ahead[0]  # type: ignore[method-assign]
        begun, go_on = asyncio.Event(), asyncio.Event()
        handled_at: list[float] = []

        async def handle(items: Sequence[int]) -> Sequence[int]:
            handled_at.append(loop.time())
            begun.set()
            await go_on.wait()
            return items

        batcher = Batcher(handle, 2, lambda: 5.0)
        runner = asyncio.create_task(batcher.run())
        first = asyncio.gather(batcher.submit(1), batcher.submit(2))
        await begun.wait()
        second = asyncio.create_task(batcher.submit(3))
        await asyncio.sleep(0)
        ahead[0] += 60
        released_at = loop.time()
        go_on.set()
        await asyncio.gather(first, second)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        return handled_at[1] - released_at

    assert asyncio.run(scenario()) < 4
