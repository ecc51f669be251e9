from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.listed_decision import ListedDecision
from ...models.problem_document import ProblemDocument
from ...models.reversal import Reversal
from ...types import Response


def _get_kwargs(
    decision_id: str,
    *,
    body: Reversal,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/decisions/{decision_id}/reversal".format(
            decision_id=quote(str(decision_id), safe=""),
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
    decision_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: Reversal,
) -> Response[ListedDecision | ProblemDocument]:
    """Reverse

     Take a decision back; gives the entry that does so, which goes out as the decision did.

    Args:
        decision_id (str):
        body (Reversal): Why a decision is taken back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListedDecision | ProblemDocument]
    """

    kwargs = _get_kwargs(
        decision_id=decision_id,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    decision_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: Reversal,
) -> ListedDecision | ProblemDocument | None:
    """Reverse

     Take a decision back; gives the entry that does so, which goes out as the decision did.

    Args:
        decision_id (str):
        body (Reversal): Why a decision is taken back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListedDecision | ProblemDocument
    """

    return sync_detailed(
        decision_id=decision_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    decision_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: Reversal,
) -> Response[ListedDecision | ProblemDocument]:
    """Reverse

     Take a decision back; gives the entry that does so, which goes out as the decision did.

    Args:
        decision_id (str):
        body (Reversal): Why a decision is taken back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ListedDecision | ProblemDocument]
    """

    kwargs = _get_kwargs(
        decision_id=decision_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    decision_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: Reversal,
) -> ListedDecision | ProblemDocument | None:
    """Reverse

     Take a decision back; gives the entry that does so, which goes out as the decision did.

    Args:
        decision_id (str):
        body (Reversal): Why a decision is taken back.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ListedDecision | ProblemDocument
    """

    return (
        await asyncio_detailed(
            decision_id=decision_id,
            client=client,
            body=body,
        )
    ).parsed
