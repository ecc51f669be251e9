"""The HTTP API: searches, images, and what a supervisor asks. Errors are answered in one place, `searcher.web`.

An image id may hold any character. In a path it is percent-encoded, `/` too (`%2F`); a plain `/` works as well, unless
the id ends in "/thumbnail": written plainly, that names the thumbnail.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from searcher.batch import search_batch
from searcher.people import Reader
from searcher.problems import PROBLEM_RESPONSE, problem_of
from searcher.services import Provided, Services
from searcher.strategies import StrategyName
from searcher.wire import (
    DEFAULT_K,
    BatchReply,
    BatchRequest,
    ExplainReply,
    HistogramReply,
    ImageReply,
    ImagesReply,
    SearchReply,
    SearchRequest,
)
from shared.errors import QueryInvalidError

PAGE_MAX = 200
_READY_SECONDS = 2.0
# A changed picture shows at the latest after so long; until then a page full of pictures asks for none again.
_THUMBNAIL_SECONDS = 60

_SEARCH_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "No visible image has the seed's id."},
    413: PROBLEM_RESPONSE | {"description": "The body or the picture is too large."},
    415: PROBLEM_RESPONSE | {"description": "The picture is not JPEG, PNG or WebP."},
    422: PROBLEM_RESPONSE | {"description": "The query makes no sense, or its picture can't be used."},
    502: PROBLEM_RESPONSE | {"description": "The host of the seed's URL did not answer with a picture."},
    503: PROBLEM_RESPONSE | {"description": "The store is away, or no encoder is active yet; see Retry-After."},
    504: PROBLEM_RESPONSE | {"description": "The answer took too long."},
}
_TEXT = {"schema": {"type": "string"}}
_WRONG: dict[int | str, dict[str, Any]] = {422: PROBLEM_RESPONSE | {"description": "A parameter is wrong."}}
_JSON_LINES = "application/x-ndjson"
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {_JSON_LINES: _TEXT}, "description": "The hits; as JSON Lines where a radius is given and no k."}
}
_NOT_VISIBLE = _WRONG | {404: PROBLEM_RESPONSE | {"description": "No visible image has this id."}}

router = APIRouter()

ImageId = Annotated[str, Path(description="The image's id, percent-encoded.")]


@router.post("/v1/search", tags=["search"], response_model=SearchReply, responses=_STREAMED | _SEARCH_PROBLEMS)
async def search(services: Provided, request: SearchRequest, _: Reader) -> Response:
    """The nearest visible images of the seeds, by Hamming distance, then image id, cut at k by the same order.

    With a radius and no k: all within the radius, as JSON Lines, one hit a line; the last line is the reply without its
    hits, and says whether they are complete.
    """
    if not request.streams:
        return _json(await services.searcher.search(request))
    replies = services.searcher.stream(request)
    # What is wrong with the query shows with the first reply, while an error can still be answered as one.
    first = await anext(replies)
    return StreamingResponse(_lines(first, replies), media_type=_JSON_LINES)


@router.post("/v1/search/image", tags=["search"], response_model=SearchReply, responses=_SEARCH_PROBLEMS)
async def search_by_upload(
    *,
    services: Provided,
    _: Reader,
    # What OpenAPI 3.0 calls a file; makers of clients know it better than 3.1's media type.
    image: Annotated[
        UploadFile, File(description="The seed: a JPEG, PNG or WebP picture.", json_schema_extra={"format": "binary"})
    ],
    crop: Annotated[str | None, Form(description="JSON: [left, top, right, bottom] as fractions.")] = None,
    k: Annotated[int, Form()] = DEFAULT_K,
    radius: Annotated[int | None, Form()] = None,
    filter: Annotated[str | None, Form(description="JSON: attribute to list of values.")] = None,  # noqa: A002
    since: Annotated[str | None, Form()] = None,
    until: Annotated[str | None, Form()] = None,
    group_by_item: Annotated[bool, Form()] = False,
    fold_radius: Annotated[int | None, Form()] = None,
    strategy: Annotated[StrategyName, Form()] = StrategyName.AUTO,
    cursor: Annotated[str | None, Form()] = None,
) -> Response:
    """The same search with an uploaded picture as seed; the fields are those of `/v1/search`."""
    seed = {"image": await image.read(), "crop": _from_json("crop", crop)}
    query = {
        "seeds": [seed],
        "k": k,
        "radius": radius,
        "filter": _from_json("filter", filter) or {},
        "since": since,
        "until": until,
        "group_by_item": group_by_item,
        "fold_radius": fold_radius,
        "strategy": strategy,
        "cursor": cursor,
    }
    return _json(await services.searcher.search(SearchRequest.model_validate(query)))


@router.post("/v1/search/batch", tags=["search"], response_model=BatchReply, responses=_SEARCH_PROBLEMS)
async def search_in_batch(services: Provided, request: BatchRequest, _: Reader) -> Response:
    """Many searches in one call; one that can't be answered has its problem document in its place."""
    answers = await search_batch(services.searcher, request.queries)
    texts = [
        answer.to_json() if isinstance(answer, SearchReply) else json.dumps(problem_of(answer).document())
        for answer in answers
    ]
    return Response(f'{{"replies":[{",".join(texts)}]}}', media_type="application/json")


@router.post("/v1/histogram", tags=["search"], response_model=HistogramReply, responses=_SEARCH_PROBLEMS)
async def histogram(services: Provided, request: SearchRequest, _: Reader) -> HistogramReply:
    """How many visible images lie at each distance from the seed; `k`, `radius` and `strategy` do not matter."""
    return await services.explainer.histogram(request)


@router.get("/v1/explain", tags=["search"], response_model=ExplainReply, responses=_SEARCH_PROBLEMS)
async def explain(
    *,
    services: Provided,
    _: Reader,
    image_id: Annotated[str, Query(min_length=1, description="The image that is asked about.")],
    seed: Annotated[str | None, Query(description="An indexed image as seed; or else give `code`.")] = None,
    code: Annotated[str | None, Query(description="A hash code as seed.")] = None,
    k: Annotated[int | None, Query()] = None,
    radius: Annotated[int | None, Query()] = None,
    filter: Annotated[str | None, Query(description="JSON: attribute to list of values.")] = None,  # noqa: A002
    since: Annotated[str | None, Query()] = None,
    until: Annotated[str | None, Query()] = None,
) -> ExplainReply:
    """Why an image is among the hits of a search, or why it is not."""
    query = {
        "seeds": [{"image_id": seed, "code": code}],
        "k": k,
        "radius": radius,
        "filter": _from_json("filter", filter) or {},
        "since": since,
        "until": until,
    }
    return await services.explainer.explain(image_id, SearchRequest.model_validate(query))


@router.get("/v1/images", tags=["images"], response_model=ImagesReply, responses=_WRONG)
async def images(
    services: Provided,
    _: Reader,
    q: Annotated[
        str, Query(max_length=1024, description="Words; each must begin a word of an attribute's value.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    cursor: Annotated[str | None, Query(max_length=2048, description="From the page before.")] = None,
) -> Response:
    """Visible images, newest first, a page at a time."""
    page = await services.images.page(q, cursor, limit)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/v1/images/{image_id:path}/thumbnail",
    tags=["images"],
    response_class=Response,
    responses=_NOT_VISIBLE | {200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def thumbnail(services: Provided, request: Request, image_id: ImageId, _: Reader) -> Response:
    """The image's thumbnail: WebP, longest side 256 pixels."""
    if _ends_in_an_encoded_slash(request):
        return await _image(services, f"{image_id}/thumbnail")
    content = await services.images.thumbnail(image_id)
    headers = {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": f"private, max-age={_THUMBNAIL_SECONDS}",
        "Content-Disposition": "inline",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="image/webp")


@router.get("/v1/images/{image_id:path}", tags=["images"], response_model=ImageReply, responses=_NOT_VISIBLE)
async def image(services: Provided, image_id: ImageId, _: Reader) -> Response:
    """The document of a visible image."""
    return await _image(services, image_id)


@router.get("/livez", tags=["operations"])
async def livez() -> dict[str, str]:
    """Whether the process turns; asks nothing else."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operations"], responses={503: PROBLEM_RESPONSE})
async def readyz(services: Provided) -> dict[str, str]:
    """Whether searches can be answered: an encoder is loaded, the store answers or the codes are in memory, and it is
    known who may ask."""
    backend = services.backend
    await services.recognizer.key_ring.known()
    encoder = backend.encoder_or_raise()
    if backend.resident is None or backend.resident.follower.state.as_of is None:
        await backend.ask(lambda store: store.check(), _READY_SECONDS)
    return {"status": "ok", "encoder": encoder.encoder_id}


@router.get(
    "/metrics", tags=["operations"], response_class=Response, responses={200: {"content": {"text/plain": _TEXT}}}
)
async def metrics(services: Provided) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(services.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/version", tags=["operations"])
async def version(services: Provided) -> dict[str, str | None]:
    """The searcher's version and the active encoder."""
    encoder = services.backend.encoder
    return {
        "version": version_text(),
        "encoder": None if encoder is None else encoder.encoder_id,
    }


@router.get("/openapi.json", include_in_schema=False)
async def description(request: Request, _: Reader) -> JSONResponse:
    """This API's description."""
    return JSONResponse(request.app.openapi())


def version_text() -> str:
    """The version of the installed project."""
    return importlib.metadata.version("catalogue-indexer")


def _json(reply: SearchReply) -> Response:
    # Built and checked here, so that a second look by the framework would find nothing.
    return Response(reply.to_json(), media_type="application/json")


async def _lines(reply: SearchReply, following: AsyncIterator[SearchReply]) -> AsyncIterator[str]:
    """A hit a line, and at last what all of them together are worth."""
    pages = [reply.model_copy(update={"hits": []})]
    yield "".join(f"{hit.model_dump_json()}\n" for hit in reply.hits)
    async for page in following:
        yield "".join(f"{hit.model_dump_json()}\n" for hit in page.hits)
        pages.append(page.model_copy(update={"hits": []}))
    worth = {
        "exact": all(page.exact for page in pages),
        "complete": all(page.complete for page in pages),
        "as_of": min(page.as_of for page in pages),
    }
    yield pages[-1].model_copy(update=worth).to_json(hits=False) + "\n"


async def _image(services: Services, image_id: str) -> Response:
    reply = await services.images.image(image_id)
    return JSONResponse(reply.model_dump())


def _ends_in_an_encoded_slash(request: Request) -> bool:
    raw_path: bytes = request.scope.get("raw_path") or b""
    return raw_path.lower().endswith(b"%2fthumbnail")


def _from_json(field: str, text: str | None) -> object:
    if text is None or not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise QueryInvalidError(f"{field} is not JSON") from error
