from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem_document import ProblemDocument
from ...models.watch_change import WatchChange
from ...models.watch_reply import WatchReply
from ...types import Response


def _get_kwargs(
    watch_id: str,
    *,
    body: WatchChange,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/v1/watches/{watch_id}".format(
            watch_id=quote(str(watch_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ProblemDocument | WatchReply:
    if response.status_code == 200:
        response_200 = WatchReply.from_dict(response.json())

        return response_200

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
    watch_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: WatchChange,
) -> Response[ProblemDocument | WatchReply]:
    """Change Watch

     Change a watch, pause it, let it go on, or end it for good.

    Args:
        watch_id (str):
        body (WatchChange): What to change of a watch; what is not named stays. `from_case`: watch
            for what the case found relevant by now.

            A change of radius, filter or codes, and going on after a pause, runs the watch over the
            whole window anew.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchReply]
    """

    kwargs = _get_kwargs(
        watch_id=watch_id,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    watch_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: WatchChange,
) -> ProblemDocument | WatchReply | None:
    """Change Watch

     Change a watch, pause it, let it go on, or end it for good.

    Args:
        watch_id (str):
        body (WatchChange): What to change of a watch; what is not named stays. `from_case`: watch
            for what the case found relevant by now.

            A change of radius, filter or codes, and going on after a pause, runs the watch over the
            whole window anew.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchReply
    """

    return sync_detailed(
        watch_id=watch_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    watch_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: WatchChange,
) -> Response[ProblemDocument | WatchReply]:
    """Change Watch

     Change a watch, pause it, let it go on, or end it for good.

    Args:
        watch_id (str):
        body (WatchChange): What to change of a watch; what is not named stays. `from_case`: watch
            for what the case found relevant by now.

            A change of radius, filter or codes, and going on after a pause, runs the watch over the
            whole window anew.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchReply]
    """

    kwargs = _get_kwargs(
        watch_id=watch_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    watch_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: WatchChange,
) -> ProblemDocument | WatchReply | None:
    """Change Watch

     Change a watch, pause it, let it go on, or end it for good.

    Args:
        watch_id (str):
        body (WatchChange): What to change of a watch; what is not named stays. `from_case`: watch
            for what the case found relevant by now.

            A change of radius, filter or codes, and going on after a pause, runs the watch over the
            whole window anew.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchReply
    """

    return (
        await asyncio_detailed(
            watch_id=watch_id,
            client=client,
            body=body,
        )
    ).parsed
