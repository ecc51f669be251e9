from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.listed_decision import ListedDecision
from ...models.new_decision import NewDecision
from ...models.problem_document import ProblemDocument
from ...types import Response


def _get_kwargs(
    case_id: str,
    *,
    body: NewDecision,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/cases/{case_id}/decisions".format(
            case_id=quote(str(case_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ListedDecision | ProblemDocument:
    if response.status_code == 201:
        response_201 = ListedDecision.from_dict(response.json())

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
) -> Response[ListedDecision | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    case_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewDecision,
) -> Response[ListedDecision | ProblemDocument]:
    """Decide

     Decide about images that are relevant in the case. The decision goes out as an event and to all
    receivers.

    Args:
        case_id (str):
        body (NewDecision): What to decide about images that are relevant in a case; without
            `image_ids`, about all of them that no decision
            by the same policy stands for.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListedDecision | ProblemDocument]
    """

    kwargs = _get_kwargs(
        case_id=case_id,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    case_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewDecision,
) -> ListedDecision | ProblemDocument | None:
    """Decide

     Decide about images that are relevant in the case. The decision goes out as an event and to all
    receivers.

    Args:
        case_id (str):
        body (NewDecision): What to decide about images that are relevant in a case; without
            `image_ids`, about all of them that no decision
            by the same policy stands for.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListedDecision | ProblemDocument
    """

    return sync_detailed(
        case_id=case_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    case_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewDecision,
) -> Response[ListedDecision | ProblemDocument]:
    """Decide

     Decide about images that are relevant in the case. The decision goes out as an event and to all
    receivers.

    Args:
        case_id (str):
        body (NewDecision): What to decide about images that are relevant in a case; without
            `image_ids`, about all of them that no decision
            by the same policy stands for.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListedDecision | ProblemDocument]
    """

    kwargs = _get_kwargs(
        case_id=case_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    case_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewDecision,
) -> ListedDecision | ProblemDocument | None:
    """Decide

     Decide about images that are relevant in the case. The decision goes out as an event and to all
    receivers.

    Args:
        case_id (str):
        body (NewDecision): What to decide about images that are relevant in a case; without
            `image_ids`, about all of them that no decision
            by the same policy stands for.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListedDecision | ProblemDocument
    """

    return (
        await asyncio_detailed(
            case_id=case_id,
            client=client,
            body=body,
        )
    ).parsed
