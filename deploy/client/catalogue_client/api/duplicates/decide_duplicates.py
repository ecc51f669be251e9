from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.changed_groups_reply import ChangedGroupsReply
from ...models.decision_request import DecisionRequest
from ...models.problem_document import ProblemDocument
from ...types import Response


def _get_kwargs(
    run_id: str,
    group_id: int,
    *,
    body: DecisionRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/duplicates/{run_id}/groups/{group_id}/decisions".format(
            run_id=quote(str(run_id), safe=""),
            group_id=quote(str(group_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ChangedGroupsReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = ChangedGroupsReply.from_dict(response.json())

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
) -> Response[ChangedGroupsReply | ProblemDocument]:
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
    body: DecisionRequest,
) -> Response[ChangedGroupsReply | ProblemDocument]:
    """Decide Duplicates

     Decide on a group: keep one image, dismiss, split, merge, or open it again. Each is an entry that
    stays.

    Args:
        run_id (str):
        group_id (int):
        body (DecisionRequest): What is decided of a group: `keep` names the one image that stays,
            `split` those that leave into a new group,
            `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes
            either back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ChangedGroupsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        group_id=group_id,
        body=body,
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
    body: DecisionRequest,
) -> ChangedGroupsReply | ProblemDocument | None:
    """Decide Duplicates

     Decide on a group: keep one image, dismiss, split, merge, or open it again. Each is an entry that
    stays.

    Args:
        run_id (str):
        group_id (int):
        body (DecisionRequest): What is decided of a group: `keep` names the one image that stays,
            `split` those that leave into a new group,
            `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes
            either back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ChangedGroupsReply | ProblemDocument
    """

    return sync_detailed(
        run_id=run_id,
        group_id=group_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
    body: DecisionRequest,
) -> Response[ChangedGroupsReply | ProblemDocument]:
    """Decide Duplicates

     Decide on a group: keep one image, dismiss, split, merge, or open it again. Each is an entry that
    stays.

    Args:
        run_id (str):
        group_id (int):
        body (DecisionRequest): What is decided of a group: `keep` names the one image that stays,
            `split` those that leave into a new group,
            `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes
            either back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ChangedGroupsReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        run_id=run_id,
        group_id=group_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    run_id: str,
    group_id: int,
    *,
    client: AuthenticatedClient | Client,
    body: DecisionRequest,
) -> ChangedGroupsReply | ProblemDocument | None:
    """Decide Duplicates

     Decide on a group: keep one image, dismiss, split, merge, or open it again. Each is an entry that
    stays.

    Args:
        run_id (str):
        group_id (int):
        body (DecisionRequest): What is decided of a group: `keep` names the one image that stays,
            `split` those that leave into a new group,
            `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes
            either back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ChangedGroupsReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            run_id=run_id,
            group_id=group_id,
            client=client,
            body=body,
        )
    ).parsed
