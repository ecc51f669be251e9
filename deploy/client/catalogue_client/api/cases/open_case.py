from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.case_reply import CaseReply
from ...models.new_case import NewCase
from ...models.problem_document import ProblemDocument
from ...types import Response


def _get_kwargs(
    *,
    body: NewCase,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/cases",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> CaseReply | ProblemDocument:
    if response.status_code == 201:
        response_201 = CaseReply.from_dict(response.json())

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
) -> Response[CaseReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: NewCase,
) -> Response[CaseReply | ProblemDocument]:
    """Open Case

     Open a case. The pictures of its seeds are kept with it, whatever becomes of the images and URLs.

    Args:
        body (NewCase): A case to open. Its seeds' pictures are kept with it, as they are now.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CaseReply | ProblemDocument]
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
    body: NewCase,
) -> CaseReply | ProblemDocument | None:
    """Open Case

     Open a case. The pictures of its seeds are kept with it, whatever becomes of the images and URLs.

    Args:
        body (NewCase): A case to open. Its seeds' pictures are kept with it, as they are now.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CaseReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: NewCase,
) -> Response[CaseReply | ProblemDocument]:
    """Open Case

     Open a case. The pictures of its seeds are kept with it, whatever becomes of the images and URLs.

    Args:
        body (NewCase): A case to open. Its seeds' pictures are kept with it, as they are now.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CaseReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: NewCase,
) -> CaseReply | ProblemDocument | None:
    """Open Case

     Open a case. The pictures of its seeds are kept with it, whatever becomes of the images and URLs.

    Args:
        body (NewCase): A case to open. Its seeds' pictures are kept with it, as they are now.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CaseReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
