"""The hash codes that a case knows: those of its seeds and of what was judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.backend import Backend
from searcher.workbench.records import Case, Judgement, Verdict
from shared.errors import QueryInvalidError


@dataclass(frozen=True, slots=True)
class CaseCodes:
    """Codes of the encoder `encoder`, seeds first, then in the order of judging.

    `left_out` counts seeds and judged images that have no such code any more; `image_ids` are all of them.
    """

    encoder: str
    relevant: Sequence[bytes]
    not_relevant: Sequence[bytes]
    image_ids: frozenset[str]
    left_out: int


async def codes_of(backend: Backend, case: Case, judged: Sequence[Judgement]) -> CaseCodes:
    """The codes of seeds and judged images; those of another encoder are looked up again by image id.

    A seed that is judged to be what it is taken for counts once.

    QueryInvalidError where nothing is relevant yet; EncoderMissingError; errors as of `Backend.ask`.
    """
    encoder = backend.encoder_or_raise().encoder_id
    sources = [
        *((seed.weight > 0, seed.image_id, seed.code if seed.encoder == encoder else None) for seed in case.seeds),
        *(
            (one.verdict is Verdict.RELEVANT, one.image_id, one.code if one.encoder == encoder else None)
            for one in judged
            if one.verdict is not Verdict.UNSURE
        ),
    ]
    stale = sorted({image_id for _, image_id, code in sources if code is None and image_id is not None})
    documents = await backend.ask(lambda store: store.documents(stale)) if stale else {}
    again = {image_id: document.codes.get(encoder) for image_id, document in documents.items()}
    codes: dict[tuple[bool, str | int], bytes | None] = {}
    for place, (relevant, image_id, code) in enumerate(sources):
        key = relevant, image_id or place
        codes[key] = codes.get(key) or code or again.get(image_id or "")
    wanted = [code for (relevant, _), code in codes.items() if relevant and code is not None]
    if not wanted:
        raise QueryInvalidError("the case has no seed and no relevant image to start from")
    return CaseCodes(
        encoder,
        relevant=wanted,
        not_relevant=[code for (relevant, _), code in codes.items() if not relevant and code is not None],
        image_ids=frozenset(
            {one.image_id for one in judged} | {seed.image_id for seed in case.seeds if seed.image_id is not None}
        ),
        left_out=sum(code is None for code in codes.values()),
    )


def rows_of(codes: Sequence[bytes], size: int) -> NDArray[np.uint8]:
    """Codes of `size` bytes as rows (codes, size)."""
    return np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), size)
