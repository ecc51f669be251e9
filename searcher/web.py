"""The web application: routes, what guards them, and one place where every error becomes its answer."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from searcher import api
from searcher.duplicates import routes as duplicates
from searcher.gate import Gate
from searcher.guard import Guard, RequestMetrics
from searcher.page import cases, signing_in
from searcher.page import duplicates as duplicates_page
from searcher.page import routes as page
from searcher.page import watches as watches_page
from searcher.people import ScopeMissingError
from searcher.problems import PROBLEM_RESPONSE, problem_of, problem_of_fields, problem_of_status
from searcher.services import Services
from searcher.workbench import audit_routes, decision_routes, key_routes, watch_routes
from searcher.workbench import routes as workbench
from shared.errors import CatalogueError, DependencyUnavailableError
from shared.metrics import SearcherMetrics


def create_app(services: Services, metrics: SearcherMetrics) -> FastAPI:
    """The application over `services`; it starts and stops nothing."""
    app = _routes()
    app.state.services = services
    app.add_exception_handler(CatalogueError, _answer_catalogue_error)
    app.add_exception_handler(ScopeMissingError, _answer_missing_scope)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(ValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_error)
    settings = services.settings
    # The last one added is the first that a request meets.
    app.add_middleware(Gate, recognizer=services.recognizer, refuse=signing_in.refused)
    app.add_middleware(
        Guard,
        bound_to=settings.http_host,
        body_bytes_max=settings.upload_bytes_max,
        requests_max=settings.http_requests_max,
    )
    app.add_middleware(RequestMetrics, metrics=metrics)
    return app


def api_description() -> dict[str, Any]:
    """The OpenAPI description of the HTTP API; nothing has to run for it."""
    return _routes().openapi()


def _routes() -> FastAPI:
    app = FastAPI(
        title="Catalogue search",
        summary="A seed in (picture, URL, image id or hash code), the nearest visible images out.",
        version=api.version_text(),
        # The framework's own pages load scripts from elsewhere; searcher.page serves a page of ours at /docs.
        docs_url=None,
        redoc_url=None,
        # A route of ours, which says who may read it.
        openapi_url=None,
        redirect_slashes=False,
        # Clients are made from the description: their functions have the names of ours.
        generate_unique_id_function=lambda route: route.name,
        responses={"default": PROBLEM_RESPONSE | {"description": "Any other problem."}},
    )
    app.include_router(api.router)
    app.include_router(key_routes.router)
    app.include_router(workbench.router)
    app.include_router(watch_routes.router)
    app.include_router(decision_routes.router)
    app.include_router(audit_routes.router)
    app.include_router(duplicates.router)
    app.include_router(cases.router)
    app.include_router(watches_page.router)
    app.include_router(duplicates_page.router)
    app.include_router(signing_in.router)
    app.include_router(page.router)
    return app


async def _answer_catalogue_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, CatalogueError)
    problem = problem_of(error)
    if problem.status >= 500:
        # What is away is told once by the attendant, not once a request.
        log = structlog.get_logger()
        tell = log.debug if isinstance(error, DependencyUnavailableError) else log.warning
        tell("query_failed", reason=problem.reason, detail=str(error))
    return problem.response()


async def _answer_missing_scope(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScopeMissingError)
    return signing_in.refused(request.scope, error)


async def _answer_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    errors: Sequence[Any] = error.errors()
    return problem_of_fields(errors).response()


async def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_of_status(error.status_code).response()
