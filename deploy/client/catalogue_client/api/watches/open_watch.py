from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.new_watch_request import NewWatchRequest
from ...models.problem_document import ProblemDocument
from ...models.watch_reply import WatchReply
from ...types import Response


def _get_kwargs(
    *,
    body: NewWatchRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/watches",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ProblemDocument | WatchReply:
    if response.status_code == 201:
        response_201 = WatchReply.from_dict(response.json())

        return response_201

    if response.status_code == 404:
        response_404 = ProblemDocument.from_dict(response.json())

        return response_404

    if response.status_code == 422:
        response_422 = ProblemDocument.from_dict(response.json())

        return response_422

    if response.status_code == 503:
        response_503 = ProblemDocument.from_dict(response.json())

        return response_503

    response_default = ProblemDocument.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ProblemDocument | WatchReply]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: NewWatchRequest,
) -> Response[ProblemDocument | WatchReply]:
    """Open Watch

     Open a watch. It runs over the whole window at once, and every image written from now on is compared
    with it.

    Args:
        body (NewWatchRequest): A watch to open: for seeds, or without any for the seeds and
            relevant images of a case.

            Seeds are kept with the case; without a case, one of the watch's name is opened.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchReply]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: NewWatchRequest,
) -> ProblemDocument | WatchReply | None:
    """Open Watch

     Open a watch. It runs over the whole window at once, and every image written from now on is compared
    with it.

    Args:
        body (NewWatchRequest): A watch to open: for seeds, or without any for the seeds and
            relevant images of a case.

            Seeds are kept with the case; without a case, one of the watch's name is opened.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchReply
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: NewWatchRequest,
) -> Response[ProblemDocument | WatchReply]:
    """Open Watch

     Open a watch. It runs over the whole window at once, and every image written from now on is compared
    with it.

    Args:
        body (NewWatchRequest): A watch to open: for seeds, or without any for the seeds and
            relevant images of a case.

            Seeds are kept with the case; without a case, one of the watch's name is opened.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchReply]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: NewWatchRequest,
) -> ProblemDocument | WatchReply | None:
    """Open Watch

     Open a watch. It runs over the whole window at once, and every image written from now on is compared
    with it.

    Args:
        body (NewWatchRequest): A watch to open: for seeds, or without any for the seeds and
            relevant images of a case.

            Seeds are kept with the case; without a case, one of the watch's name is opened.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchReply
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
