from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.group_reply import GroupReply
from ...models.problem_document import ProblemDocument
from ...types import Response


def _get_kwargs(
    run_id: str,
    group_id: int,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/duplicates/{run_id}/groups/{group_id}".format(
            run_id=quote(str(run_id), safe=""),
            group_id=quote(str(group_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> GroupReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = GroupReply.from_dict(response.json())

        return response_200

    if response.status_code == 404:
        response_404 = ProblemDocument.from_dict(response.json())

        return response_404

    if response.status_code == 409:
        response_409 = ProblemDocument.from_dict(response.json())

        return response_409

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
) -> Response[GroupReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
) -> Response[GroupReply | ProblemDocument]:
    """Duplicate Group

     A group.

    Args:
        run_id (str):
        group_id (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GroupReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        group_id=group_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
) -> GroupReply | ProblemDocument | None:
    """Duplicate Group

     A group.

    Args:
        run_id (str):
        group_id (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GroupReply | ProblemDocument
    """

    return sync_detailed(
        run_id=run_id,
        group_id=group_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
) -> Response[GroupReply | ProblemDocument]:
    """Duplicate Group

     A group.

    Args:
        run_id (str):
        group_id (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GroupReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        group_id=group_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
) -> GroupReply | ProblemDocument | None:
    """Duplicate Group

     A group.

    Args:
        run_id (str):
        group_id (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GroupReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            run_id=run_id,
            group_id=group_id,
            client=client,
        )
    ).parsed
