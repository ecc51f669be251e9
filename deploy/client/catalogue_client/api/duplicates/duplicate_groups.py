from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.group_state import GroupState
from ...models.groups_reply import GroupsReply
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    run_id: str,
    *,
    state: GroupState | Unset = UNSET,
    after: int | Unset = 0,
    limit: int | Unset = 50,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_state: str | Unset = UNSET
    if not isinstance(state, Unset):
        json_state = state

    params["state"] = json_state

    params["after"] = after

    params["limit"] = limit

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/duplicates/{run_id}/groups".format(
            run_id=quote(str(run_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> GroupsReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = GroupsReply.from_dict(response.json())

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
) -> Response[GroupsReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    run_id: str,
    *,
    client: AuthenticatedClient | Client,
    state: GroupState | Unset = UNSET,
    after: int | Unset = 0,
    limit: int | Unset = 50,
) -> Response[GroupsReply | ProblemDocument]:
    """Duplicate Groups

     Groups of a run in one state, the largest as they were found first, a page at a time.

    Args:
        run_id (str):
        state (GroupState | Unset): What was decided of a group.
        after (int | Unset): The number behind which to go on. Default: 0.
        limit (int | Unset):  Default: 50.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GroupsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        state=state,
        after=after,
        limit=limit,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    run_id: str,
    *,
    client: AuthenticatedClient | Client,
    state: GroupState | Unset = UNSET,
    after: int | Unset = 0,
    limit: int | Unset = 50,
) -> GroupsReply | ProblemDocument | None:
    """Duplicate Groups

     Groups of a run in one state, the largest as they were found first, a page at a time.

    Args:
        run_id (str):
        state (GroupState | Unset): What was decided of a group.
        after (int | Unset): The number behind which to go on. Default: 0.
        limit (int | Unset):  Default: 50.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GroupsReply | ProblemDocument
    """

    return sync_detailed(
        run_id=run_id,
        client=client,
        state=state,
        after=after,
        limit=limit,
    ).parsed


async def asyncio_detailed(
    run_id: str,
    *,
    client: AuthenticatedClient | Client,
    state: GroupState | Unset = UNSET,
    after: int | Unset = 0,
    limit: int | Unset = 50,
) -> Response[GroupsReply | ProblemDocument]:
    """Duplicate Groups

     Groups of a run in one state, the largest as they were found first, a page at a time.

    Args:
        run_id (str):
        state (GroupState | Unset): What was decided of a group.
        after (int | Unset): The number behind which to go on. Default: 0.
        limit (int | Unset):  Default: 50.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[GroupsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        state=state,
        after=after,
        limit=limit,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    run_id: str,
    *,
    client: AuthenticatedClient | Client,
    state: GroupState | Unset = UNSET,
    after: int | Unset = 0,
    limit: int | Unset = 50,
) -> GroupsReply | ProblemDocument | None:
    """Duplicate Groups

     Groups of a run in one state, the largest as they were found first, a page at a time.

    Args:
        run_id (str):
        state (GroupState | Unset): What was decided of a group.
        after (int | Unset): The number behind which to go on. Default: 0.
        limit (int | Unset):  Default: 50.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        GroupsReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            run_id=run_id,
            client=client,
            state=state,
            after=after,
            limit=limit,
        )
    ).parsed
