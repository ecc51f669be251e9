from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.images_reply import ImagesReply
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    q: str | Unset = "",
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["q"] = q

    params["limit"] = limit

    json_cursor: None | str | Unset
    if isinstance(cursor, Unset):
        json_cursor = UNSET
    else:
        json_cursor = cursor
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/images",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ImagesReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = ImagesReply.from_dict(response.json())

        return response_200

    if response.status_code == 422:
        response_422 = ProblemDocument.from_dict(response.json())

        return response_422

    response_default = ProblemDocument.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ImagesReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    q: str | Unset = "",
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> Response[ImagesReply | ProblemDocument]:
    """Images

     Visible images, newest first, a page at a time.

    Args:
        q (str | Unset): Words; each must begin a word of an attribute's value. Default: ''.
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ImagesReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        q=q,
        limit=limit,
        cursor=cursor,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    q: str | Unset = "",
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> ImagesReply | ProblemDocument | None:
    """Images

     Visible images, newest first, a page at a time.

    Args:
        q (str | Unset): Words; each must begin a word of an attribute's value. Default: ''.
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ImagesReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        q=q,
        limit=limit,
        cursor=cursor,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    q: str | Unset = "",
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> Response[ImagesReply | ProblemDocument]:
    """Images

     Visible images, newest first, a page at a time.

    Args:
        q (str | Unset): Words; each must begin a word of an attribute's value. Default: ''.
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ImagesReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        q=q,
        limit=limit,
        cursor=cursor,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    q: str | Unset = "",
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> ImagesReply | ProblemDocument | None:
    """Images

     Visible images, newest first, a page at a time.

    Args:
        q (str | Unset): Words; each must begin a word of an attribute's value. Default: ''.
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ImagesReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            q=q,
            limit=limit,
            cursor=cursor,
        )
    ).parsed
