from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem_document import ProblemDocument
from ...models.watch_state import WatchState
from ...models.watches_reply import WatchesReply
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    state: None | Unset | WatchState = UNSET,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_state: None | str | Unset
    if isinstance(state, Unset):
        json_state = UNSET
    elif isinstance(state, str):
        json_state = state
    else:
        json_state = state
    params["state"] = json_state

    json_case_id: None | str | Unset
    if isinstance(case_id, Unset):
        json_case_id = UNSET
    else:
        json_case_id = case_id
    params["case_id"] = json_case_id

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
        "url": "/v1/watches",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ProblemDocument | WatchesReply:
    if response.status_code == 200:
        response_200 = WatchesReply.from_dict(response.json())

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
) -> Response[ProblemDocument | WatchesReply]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: None | Unset | WatchState = UNSET,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> Response[ProblemDocument | WatchesReply]:
    """Watches

     Watches with how they have done, the one changed last first, a page at a time.

    Args:
        state (None | Unset | WatchState):
        case_id (None | str | Unset):
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchesReply]
    """

    kwargs = _get_kwargs(
        state=state,
        case_id=case_id,
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
    state: None | Unset | WatchState = UNSET,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> ProblemDocument | WatchesReply | None:
    """Watches

     Watches with how they have done, the one changed last first, a page at a time.

    Args:
        state (None | Unset | WatchState):
        case_id (None | str | Unset):
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchesReply
    """

    return sync_detailed(
        client=client,
        state=state,
        case_id=case_id,
        limit=limit,
        cursor=cursor,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: None | Unset | WatchState = UNSET,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> Response[ProblemDocument | WatchesReply]:
    """Watches

     Watches with how they have done, the one changed last first, a page at a time.

    Args:
        state (None | Unset | WatchState):
        case_id (None | str | Unset):
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | WatchesReply]
    """

    kwargs = _get_kwargs(
        state=state,
        case_id=case_id,
        limit=limit,
        cursor=cursor,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    state: None | Unset | WatchState = UNSET,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: None | str | Unset = UNSET,
) -> ProblemDocument | WatchesReply | None:
    """Watches

     Watches with how they have done, the one changed last first, a page at a time.

    Args:
        state (None | Unset | WatchState):
        case_id (None | str | Unset):
        limit (int | Unset):  Default: 50.
        cursor (None | str | Unset): From the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | WatchesReply
    """

    return (
        await asyncio_detailed(
            client=client,
            state=state,
            case_id=case_id,
            limit=limit,
            cursor=cursor,
        )
    ).parsed
