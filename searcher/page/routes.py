"""The page's routes: each answers with a whole document; the script takes from it the parts that changed.

So there is one way in which anything is shown, and everything but uploads works by address alone.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from searcher.cursors import decode_hit_cursor
from searcher.page.docs import operations_of
from searcher.page.export import read_ticked, to_csv, to_json
from searcher.page.guarantee import guarantee_of
from searcher.page.histogram import Histogram, histogram_of
from searcher.page.query import DEFAULT_K, PageQuery
from searcher.page.rendering import ASSETS, render
from searcher.page.verdict import VerdictView, verdict_of
from searcher.page.view import ChosenCase, SeedView, View, card_of, data_uri, thumbnail_path
from searcher.people import Reader
from searcher.problems import problem_of, problem_of_fields, problem_of_status
from searcher.services import Provided, Services
from searcher.stopwatch import Stopwatch
from searcher.wire import SearchReply, SearchRequest, Seed
from shared.errors import CatalogueError, ImageNotVisibleError
from shared.images.picture import media_type_of

_PAGE_SIZE = 60
_REFRESH_SECONDS = 5
# It takes about 10 ms a million images; where more is under way, the page does not wait for it.
_HISTOGRAM_SECONDS = 1.0
_FIELDS_MAX = 100
# The export's form carries one field an image.
_TICKED_MAX = 10_100
_YEAR_SECONDS = 365 * 24 * 3600
_PICTURE_SECONDS = 3600

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(services: Provided, request: Request, _: Reader) -> Response:
    """Recent images, images found by words, or the hits of a seed, by what the address says."""
    return await _answer(services, PageQuery.of(request.query_params.multi_items()), None)


@router.post("/")
async def upload(services: Provided, request: Request, _: Reader) -> Response:
    """The hits of an uploaded picture."""
    async with request.form(max_files=1, max_fields=_FIELDS_MAX) as form:
        query = PageQuery.of([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
        file = form.get("image")
        picture = await file.read() if isinstance(file, UploadFile) else b""
    if not picture:
        return RedirectResponse(query.link(), 303)
    return await _answer(services, query.without_seed(crop=query.crop), picture)


@router.post("/export")
async def export(services: Provided, request: Request, who: Reader) -> Response:
    """The ticked images as a file. Written down in the audit log, and so refused while that is away."""
    async with request.form(max_files=0, max_fields=_TICKED_MAX) as form:
        ticked = read_ticked([value for value in form.getlist("ticked") if isinstance(value, str)])
        file_format = form.get("format")
    detail = {"format": "csv" if file_format == "csv" else "json", "images": len(ticked)}
    await services.casework.desk.ask(lambda bench: bench.ledger.audit(who, "exported", None, detail))
    if file_format == "csv":
        return _download(to_csv(ticked), "images.csv", "text/csv; charset=utf-8")
    return _download(to_json(ticked), "images.json", "application/json")


@router.get("/picture")
async def picture(services: Provided, image_id: str, _: Reader) -> Response:
    """The picture itself, to look at closely. It comes from here, so its host learns nothing of who looks."""
    content = await services.images.picture(image_id)
    headers = {"Cache-Control": f"private, max-age={_PICTURE_SECONDS}", "Content-Disposition": "inline"}
    return Response(content, headers=headers, media_type=media_type_of(content))


@router.get("/docs")
async def docs(request: Request, _: Reader) -> Response:
    """The API's description, from its OpenAPI document, for people."""
    api = request.app.openapi()
    return HTMLResponse(render("docs.html", api=api, groups=operations_of(api)))


@router.get("/assets/{digest}/{name}")
async def asset(digest: str, name: str) -> Response:
    """Style, script and icon; the digest in the address lets browsers keep them for good."""
    found = ASSETS.get(name)
    if found is None:
        return problem_of_status(404).response()
    keep = f"max-age={_YEAR_SECONDS}, immutable" if digest == found.digest else "no-cache"
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": keep})


async def _answer(services: Services, query: PageQuery, picture: bytes | None) -> Response:
    try:
        view = await _view(services, query, picture)
        if query.case:
            view = view.marked(await _chosen(services, query.case))
    except CatalogueError as error:
        view = View(query, problem=problem_of(error))
    except ValidationError as error:
        view = View(query, problem=problem_of_fields(error.errors()))
    # A thousand cards take a tenth of a second to write; other requests go on meanwhile.
    return await asyncio.to_thread(_page, services, view)


async def _chosen(services: Services, case_id: str) -> ChosenCase:
    """The case with its verdicts; where it can't be had, the search is shown without."""
    try:
        case, judged = await services.casework.desk.ask(
            lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id))
        )
    except CatalogueError as error:
        return ChosenCase(case_id, problem=problem_of(error).detail)
    return ChosenCase(case_id, case.name, {one.image_id: one.verdict for one in judged})


async def _view(services: Services, query: PageQuery, picture: bytes | None) -> View:
    if picture is None and query.find:
        query = await _understood(services, query)
    if picture is None and not query.has_seed:
        return await _listing(services, query)
    return await _hits(services, query, picture)


async def _understood(services: Services, query: PageQuery) -> PageQuery:
    """What a user typed: a URL, the id of an image, or else words."""
    typed = query.find
    if typed.lower().startswith(("http://", "https://")):
        return query.without_seed(url=typed)
    try:
        await services.searcher.visible_document(typed)
    except ImageNotVisibleError:
        return query.without_seed(words=typed)
    return query.without_seed(image_id=typed)


async def _listing(services: Services, query: PageQuery) -> View:
    page = await services.images.page(query.words, query.cursor or None, _PAGE_SIZE, query.restrictions())
    following = query.link(cursor=page.cursor) if page.cursor else None
    return View(query, [card_of(image, query) for image in page.images], next_page=following)


async def _hits(services: Services, query: PageQuery, picture: bytes | None) -> View:
    request = query.request(await _seed(services, query, picture))
    watch = Stopwatch()
    resolved = await services.searcher.resolve(request.seeds[0], watch, preview=True)
    reply = await services.searcher.search_from([resolved], request, watch)
    seed = _seed_view(
        query, reply.seeds[0].code, reply.encoder, data_uri(resolved.preview), uploaded=picture is not None
    )
    # The seed's code stands for its picture from here on, which need not be fetched and looked at again.
    known = request.model_copy(update={"seeds": [Seed(code=reply.seeds[0].code, encoder=reply.encoder)]})
    return View(
        query,
        [card_of(hit, query) for hit in reply.hits],
        seed,
        reply,
        guarantee=guarantee_of(reply, services.now()),
        histogram=await _histogram(services, known, reply),
        verdict=await _verdict(services, seed.query, known, reply) if query.explain else None,
        hits_before=decode_hit_cursor(query.cursor).shown if query.cursor else 0,
        next_page=seed.query.link(cursor=reply.cursor, explain="") if reply.cursor else None,
    )


async def _histogram(services: Services, request: SearchRequest, reply: SearchReply) -> Histogram | None:
    """The whole window around the seed, cut at the radius or else at the last hit; None where it can't be had now."""
    cut = request.radius if request.radius is not None else reply.hits[-1].distance if reply.hits else None
    if cut is None:
        return None
    try:
        async with asyncio.timeout(_HISTOGRAM_SECONDS):
            found = await services.explainer.histogram(request)
    except (CatalogueError, TimeoutError):
        # The hits are what was asked for; they are shown with or without it.
        return None
    return histogram_of(found.counts, cut)


async def _verdict(services: Services, query: PageQuery, request: SearchRequest, reply: SearchReply) -> VerdictView:
    try:
        explained = await services.explainer.explain(query.explain, request)
    except CatalogueError as error:
        return VerdictView("It can't be told now", problem_of(error).detail)
    return verdict_of(explained, query, reply.hits, request.k or DEFAULT_K, services.settings.neighbours_max)


async def _seed(services: Services, query: PageQuery, picture: bytes | None) -> dict[str, Any]:
    if picture is not None:
        return {"image": picture, "crop": query.crop_fractions()}
    if query.url:
        return {"url": query.url, "crop": query.crop_fractions()}
    if query.code:
        return {"code": query.code, "encoder": query.encoder or None}
    if query.crop:
        # What is cut out of an indexed image comes from its thumbnail: that is there even after its URL has died.
        return {"image": await services.images.thumbnail(query.image_id), "crop": query.crop_fractions()}
    return {"image_id": query.image_id}


def _seed_view(query: PageQuery, code: str, encoder: str, preview: str, *, uploaded: bool) -> SeedView:
    if query.image_id:
        return SeedView(query, query.image_id, thumbnail_path(query.image_id), "image_id")
    # A code reopens the search even when the upload is gone or the URL has died.
    lasting = query.without_seed(code=code, encoder=encoder, cursor=query.cursor, explain=query.explain)
    if uploaded:
        return SeedView(lasting, "Uploaded picture", preview, "file")
    if query.url:
        return SeedView(lasting, query.url, preview, "url")
    return SeedView(lasting, "Hash code")


def _page(services: Services, view: View) -> Response:
    encoder = services.backend.encoder
    # What is missing may be there in a moment, so the page asks again by itself, with or without a script.
    waits = encoder is None or (view.problem is not None and view.problem.retry_after_seconds is not None)
    text = render(
        "page.html",
        view=view,
        query=view.query,
        encoder=encoder,
        radius_max=0 if encoder is None else encoder.bits // 2,
        visible_images=services.backend.visible_images,
        window_months=services.settings.window_months,
        neighbours_max=services.settings.neighbours_max,
        upload_bytes_max=services.settings.upload_bytes_max,
        refresh_seconds=_REFRESH_SECONDS if waits and view.seed is None else None,
    )
    return HTMLResponse(text, view.problem.status if view.problem else 200)


def _download(text: str, name: str, media_type: str) -> Response:
    return Response(text, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
