from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.deliveries_reply import DeliveriesReply
from ...models.delivery_state import DeliveryState
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    state: DeliveryState | None | Unset = UNSET,
    limit: int | Unset = 50,
    before: int | None | Unset = UNSET,
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

    params["limit"] = limit

    json_before: int | None | Unset
    if isinstance(before, Unset):
        json_before = UNSET
    else:
        json_before = before
    params["before"] = json_before

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/deliveries",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> DeliveriesReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = DeliveriesReply.from_dict(response.json())

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
) -> Response[DeliveriesReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: DeliveryState | None | Unset = UNSET,
    limit: int | Unset = 50,
    before: int | None | Unset = UNSET,
) -> Response[DeliveriesReply | ProblemDocument]:
    """Deliveries

     What is on its way to receivers, has arrived, or was given up, the newest first.

    Args:
        state (DeliveryState | None | Unset):
        limit (int | Unset):  Default: 50.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeliveriesReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        state=state,
        limit=limit,
        before=before,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    state: DeliveryState | None | Unset = UNSET,
    limit: int | Unset = 50,
    before: int | None | Unset = UNSET,
) -> DeliveriesReply | ProblemDocument | None:
    """Deliveries

     What is on its way to receivers, has arrived, or was given up, the newest first.

    Args:
        state (DeliveryState | None | Unset):
        limit (int | Unset):  Default: 50.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeliveriesReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        state=state,
        limit=limit,
        before=before,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: DeliveryState | None | Unset = UNSET,
    limit: int | Unset = 50,
    before: int | None | Unset = UNSET,
) -> Response[DeliveriesReply | ProblemDocument]:
    """Deliveries

     What is on its way to receivers, has arrived, or was given up, the newest first.

    Args:
        state (DeliveryState | None | Unset):
        limit (int | Unset):  Default: 50.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeliveriesReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        state=state,
        limit=limit,
        before=before,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    state: DeliveryState | None | Unset = UNSET,
    limit: int | Unset = 50,
    before: int | None | Unset = UNSET,
) -> DeliveriesReply | ProblemDocument | None:
    """Deliveries

     What is on its way to receivers, has arrived, or was given up, the newest first.

    Args:
        state (DeliveryState | None | Unset):
        limit (int | Unset):  Default: 50.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeliveriesReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            state=state,
            limit=limit,
            before=before,
        )
    ).parsed
