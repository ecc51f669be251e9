from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.alerts_reply import AlertsReply
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    watch_id: None | str | Unset = UNSET,
    unjudged: bool | Unset = False,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
    after: int | None | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_watch_id: None | str | Unset
    if isinstance(watch_id, Unset):
        json_watch_id = UNSET
    else:
        json_watch_id = watch_id
    params["watch_id"] = json_watch_id

    params["unjudged"] = unjudged

    params["limit"] = limit

    json_before: int | None | Unset
    if isinstance(before, Unset):
        json_before = UNSET
    else:
        json_before = before
    params["before"] = json_before

    json_after: int | None | Unset
    if isinstance(after, Unset):
        json_after = UNSET
    else:
        json_after = after
    params["after"] = json_after

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/alerts",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> AlertsReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = AlertsReply.from_dict(response.json())

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
) -> Response[AlertsReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    watch_id: None | str | Unset = UNSET,
    unjudged: bool | Unset = False,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
    after: int | None | Unset = UNSET,
) -> Response[AlertsReply | ProblemDocument]:
    """Alerts

     Alerts, the newest first, a page at a time. To follow them, ask again `after` the reply's `newest`.

    Judge them by `POST /v1/cases/{case_id}/judgements`, with their `case_id`.

    Args:
        watch_id (None | str | Unset): Only of this watch.
        unjudged (bool | Unset): Only those without a verdict. Default: False.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers.
        after (int | None | Unset): Only with higher numbers, for what is new.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AlertsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        watch_id=watch_id,
        unjudged=unjudged,
        limit=limit,
        before=before,
        after=after,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    watch_id: None | str | Unset = UNSET,
    unjudged: bool | Unset = False,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
    after: int | None | Unset = UNSET,
) -> AlertsReply | ProblemDocument | None:
    """Alerts

     Alerts, the newest first, a page at a time. To follow them, ask again `after` the reply's `newest`.

    Judge them by `POST /v1/cases/{case_id}/judgements`, with their `case_id`.

    Args:
        watch_id (None | str | Unset): Only of this watch.
        unjudged (bool | Unset): Only those without a verdict. Default: False.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers.
        after (int | None | Unset): Only with higher numbers, for what is new.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AlertsReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        watch_id=watch_id,
        unjudged=unjudged,
        limit=limit,
        before=before,
        after=after,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    watch_id: None | str | Unset = UNSET,
    unjudged: bool | Unset = False,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
    after: int | None | Unset = UNSET,
) -> Response[AlertsReply | ProblemDocument]:
    """Alerts

     Alerts, the newest first, a page at a time. To follow them, ask again `after` the reply's `newest`.

    Judge them by `POST /v1/cases/{case_id}/judgements`, with their `case_id`.

    Args:
        watch_id (None | str | Unset): Only of this watch.
        unjudged (bool | Unset): Only those without a verdict. Default: False.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers.
        after (int | None | Unset): Only with higher numbers, for what is new.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AlertsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        watch_id=watch_id,
        unjudged=unjudged,
        limit=limit,
        before=before,
        after=after,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    watch_id: None | str | Unset = UNSET,
    unjudged: bool | Unset = False,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
    after: int | None | Unset = UNSET,
) -> AlertsReply | ProblemDocument | None:
    """Alerts

     Alerts, the newest first, a page at a time. To follow them, ask again `after` the reply's `newest`.

    Judge them by `POST /v1/cases/{case_id}/judgements`, with their `case_id`.

    Args:
        watch_id (None | str | Unset): Only of this watch.
        unjudged (bool | Unset): Only those without a verdict. Default: False.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers.
        after (int | None | Unset): Only with higher numbers, for what is new.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AlertsReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            watch_id=watch_id,
            unjudged=unjudged,
            limit=limit,
            before=before,
            after=after,
        )
    ).parsed
