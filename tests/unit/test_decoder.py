"""The pool of decoding processes: one bad picture costs one child, and no other picture."""

import asyncio
import io
import os
import resource
import select
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from shared.errors import DependencyUnavailableError, QueryInvalidError, RejectedError, RejectionReason
from shared.images.decoder import PICTURES_PER_CHILD, DecoderPool
from shared.images.picture import SIDE, DecodeLimits, PictureRefusedError, Refusal, decode
from tests.pictures import draw, encode

LIMITS = DecodeLimits(bytes_max=10_000_000, pixels_max=40_000_000, seconds=30, memory_bytes=2**30, processes=1)
PICTURE = encode(draw(), "JPEG")

Answer = TypeVar("Answer")


def with_pool(
    use: Callable[[DecoderPool], Awaitable[Answer]],
    limits: DecodeLimits = LIMITS,
    *,
    pictures_per_child: int = PICTURES_PER_CHILD,
    copy_codes: bool = False,
) -> Answer:
    async def run() -> Answer:
        async with DecoderPool(limits, pictures_per_child=pictures_per_child, copy_codes=copy_codes) as pool:
            return await use(pool)

    return asyncio.run(run())


async def refusal_of(decoding: Awaitable[object]) -> Refusal:
    with pytest.raises(PictureRefusedError) as caught:
        await decoding
    return caught.value.refusal


def stopped_child(pool: DecoderPool) -> int:
    """Freeze the only child, so that it certainly does not answer before something happens to it."""
    (process_id,) = pool.process_ids
    os.kill(process_id, signal.SIGSTOP)
    return process_id


def environment_of(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/environ").read_bytes()


async def until_sent() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_picture_is_decoded_as_by_the_plain_function() -> None:
    image = with_pool(lambda pool: pool.decode(PICTURE, thumbnail=True, crop=(0.1, 0.2, 0.9, 1)))
    plain = decode(PICTURE, LIMITS, thumbnail=True, crop=(0.1, 0.2, 0.9, 1))
    assert image.pixels.shape == (SIDE, SIDE, 3)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.tobytes() == plain.pixels
    assert (image.thumbnail, image.width, image.height) == (plain.thumbnail, plain.width, plain.height)


def test_pictures_come_with_their_copy_codes_where_these_are_asked_for() -> None:
    copy_code_pdq = pytest.importorskip("shared.encoding.copy_code_pdq", exc_type=ImportError)
    flat = encode(Image.new("RGB", (300, 200), "white"), "PNG")

    async def decode_all(pool: DecoderPool) -> list[bytes | None]:
        return [(await pool.decode(content, thumbnail=True)).copy_code for content in (PICTURE, flat)]

    upright = Image.open(io.BytesIO(PICTURE)).convert("RGB")
    assert with_pool(decode_all, copy_codes=True) == [copy_code_pdq.copy_code_of(upright), None]
    assert with_pool(decode_all) == [None, None]


def test_many_pictures_at_once_each_get_their_own_answer() -> None:
    pictures = [encode(draw(seed=seed), "PNG") for seed in range(40)]

    async def all_at_once(pool: DecoderPool) -> list[bytes]:
        images = await asyncio.gather(*(pool.decode(picture, thumbnail=False) for picture in pictures))
        assert len(pool.process_ids) == 3
        return [image.pixels.tobytes() for image in images]

    assert with_pool(all_at_once, replace(LIMITS, processes=3)) == [
        decode(picture, LIMITS, thumbnail=False).pixels for picture in pictures
    ]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"<html>", Refusal.FORMAT),
        (b"", Refusal.FORMAT),
        (PICTURE[:-2000], Refusal.DAMAGED),
        (bytes(LIMITS.bytes_max + 1), Refusal.BYTES),
        (encode(Image.new("1", (16_385, 2)), "PNG"), Refusal.SIDE),
        (encode(Image.new("1", (16_000, 2_501)), "PNG"), Refusal.PIXELS),
    ],
)
def test_a_refused_picture_costs_no_process(content: bytes, refusal: Refusal) -> None:
    async def use(pool: DecoderPool) -> None:
        before = pool.process_ids
        assert await refusal_of(pool.decode(content, thumbnail=True)) is refusal
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320
        assert pool.process_ids == before

    with_pool(use)


def test_a_picture_that_needs_too_much_memory_is_refused() -> None:
    async def use(pool: DecoderPool) -> None:
        bomb = encode(Image.new("1", (8000, 5000)), "PNG")
        assert await refusal_of(pool.decode(bomb, thumbnail=False)) is Refusal.MEMORY
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320

    with_pool(use, replace(LIMITS, memory_bytes=150 * 2**20))


def test_a_child_that_dies_in_the_middle_takes_only_its_picture_along() -> None:
    async def use(pool: DecoderPool) -> None:
        victim = stopped_child(pool)
        first = asyncio.create_task(pool.decode(PICTURE, thumbnail=False))
        second = asyncio.create_task(pool.decode(PICTURE, thumbnail=False))
        await until_sent()
        os.kill(victim, signal.SIGKILL)
        assert await refusal_of(first) is Refusal.FATAL
        assert (await second).width == 320
        assert victim not in pool.process_ids

    with_pool(use)


def test_a_child_that_died_while_idle_takes_no_picture_along() -> None:
    async def use(pool: DecoderPool) -> None:
        (victim,) = pool.process_ids
        dead = os.pidfd_open(victim)
        os.kill(victim, signal.SIGKILL)
        await asyncio.to_thread(select.select, [dead], [], [], 10)
        os.close(dead)
        await until_sent()
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320

    with_pool(use)


def test_a_child_that_talks_nonsense_is_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken_over = tmp_path / "python"
    taken_over.write_text("#!/bin/sh\nprintf '\\001" + "\\377" * 17 + "' >&0\nexec cat >/dev/null\n")
    taken_over.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(taken_over))
    assert with_pool(lambda pool: refusal_of(pool.decode(PICTURE, thumbnail=False))) is Refusal.FATAL


def test_a_picture_that_takes_too_long_is_refused_and_its_child_replaced() -> None:
    async def use(pool: DecoderPool) -> None:
        stuck = stopped_child(pool)
        assert await refusal_of(pool.decode(PICTURE, thumbnail=False)) is Refusal.SLOW
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320
        assert stuck not in pool.process_ids
        with pytest.raises(ProcessLookupError):
            os.kill(stuck, 0)

    with_pool(use, replace(LIMITS, seconds=0.5))


def test_a_child_is_replaced_after_so_many_pictures() -> None:
    async def use(pool: DecoderPool) -> list[list[int]]:
        seen = []
        for _ in range(4):
            seen.append(pool.process_ids)
            await pool.decode(PICTURE, thumbnail=False)
        return seen

    first, second, third, fourth = with_pool(use, pictures_per_child=2)
    assert first == second != fourth
    assert third == []


def test_an_answer_that_nobody_waits_for_any_more_goes_to_nobody_else() -> None:
    async def use(pool: DecoderPool) -> None:
        stopped_child(pool)
        abandoned = asyncio.create_task(pool.decode(PICTURE, thumbnail=False))
        await until_sent()
        abandoned.cancel()
        other = await pool.decode(encode(draw(90, 70), "PNG"), thumbnail=False)
        assert (other.width, other.height) == (90, 70)

    with_pool(use)


def test_closing_refuses_no_picture() -> None:
    async def use(pool: DecoderPool) -> None:
        stopped_child(pool)
        tasks = [asyncio.create_task(pool.decode(PICTURE, thumbnail=False)) for _ in range(2)]
        await until_sent()
        await pool.close()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(answer, DependencyUnavailableError)
        assert pool.process_ids == []

    with_pool(use)


@pytest.mark.parametrize(
    "crop", [(0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (float("nan"), 0, 1, 1)]
)
def test_a_crop_outside_the_picture_is_the_querys_fault(crop: tuple[float, float, float, float]) -> None:
    with pytest.raises(QueryInvalidError):
        with_pool(lambda pool: pool.decode(PICTURE, thumbnail=False, crop=crop))


@pytest.mark.parametrize("program", ["/no/such/python", "/bin/false"])
def test_a_machine_that_starts_no_process_is_not_the_pictures_fault(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def decode_unstarted() -> None:
        pool = DecoderPool(LIMITS)
        with pytest.raises(DependencyUnavailableError):
            await pool.start()
        with pytest.raises(DependencyUnavailableError):
            await pool.decode(PICTURE, thumbnail=False)
        monkeypatch.undo()
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320
        await pool.close()

    monkeypatch.setattr(sys, "executable", program)
    asyncio.run(decode_unstarted())


def test_a_child_knows_its_limits_and_nothing_of_its_parents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGUE_KAFKA_PASSWORD", "secret")

    async def use(pool: DecoderPool) -> None:
        await pool.decode(PICTURE, thumbnail=False)
        (child,) = pool.process_ids
        assert b"secret" not in environment_of(child)
        assert resource.prlimit(child, resource.RLIMIT_AS)[0] == LIMITS.memory_bytes
        assert 30 < resource.prlimit(child, resource.RLIMIT_CPU)[0] < 40
        assert resource.prlimit(child, resource.RLIMIT_FSIZE)[0] == 0
        assert resource.prlimit(child, resource.RLIMIT_CORE)[0] == 0
        assert os.getsid(child) == child

    with_pool(use)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_child_outlives_signals_that_are_meant_for_its_parent(sent: signal.Signals) -> None:
    async def use(pool: DecoderPool) -> None:
        (child,) = pool.process_ids
        os.kill(child, sent)
        assert (await pool.decode(PICTURE, thumbnail=False)).width == 320
        assert pool.process_ids == [child]

    with_pool(use)


def test_the_children_end_when_their_parent_is_killed() -> None:
    program = (
        "import asyncio, sys\n"
        "from shared.images.decoder import DecoderPool\n"
        "from shared.images.picture import DecodeLimits\n"
        "async def main():\n"
        "    pool = DecoderPool(DecodeLimits(1000, 1000, 5, 2**30, 2))\n"
        "    await pool.start()\n"
        "    print(*pool.process_ids, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with Popen([sys.executable, "-c", program], stdout=PIPE, stderr=PIPE) as parent:
        assert parent.stdout is not None
        children = [os.pidfd_open(int(text)) for text in parent.stdout.readline().split()]
        parent.kill()
        _, errors = parent.communicate()
    assert len(children) == 2
    for child in children:
        ended, _, _ = select.select([child], [], [], 10)
        os.close(child)
        assert ended
    assert errors == b""


def test_every_refusal_is_a_rejection_of_the_picture() -> None:
    error = PictureRefusedError(Refusal.FATAL)
    assert isinstance(error, RejectedError)
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNDECODABLE, False)
