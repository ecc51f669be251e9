from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.case_change import CaseChange
from ...models.case_reply import CaseReply
from ...models.problem_document import ProblemDocument
from ...types import Response


def _get_kwargs(
    case_id: str,
    *,
    body: CaseChange,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/v1/cases/{case_id}".format(
            case_id=quote(str(case_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> CaseReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = CaseReply.from_dict(response.json())

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
) -> Response[CaseReply | ProblemDocument]:
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
    body: CaseChange,
) -> Response[CaseReply | ProblemDocument]:
    """Change Case

     Change a case's name, note or state, or add seeds.

    Args:
        case_id (str):
        body (CaseChange): What to change of a case; what is not named stays. `seeds` are added to
            those that there are.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CaseReply | ProblemDocument]
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
    body: CaseChange,
) -> CaseReply | ProblemDocument | None:
    """Change Case

     Change a case's name, note or state, or add seeds.

    Args:
        case_id (str):
        body (CaseChange): What to change of a case; what is not named stays. `seeds` are added to
            those that there are.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CaseReply | ProblemDocument
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
    body: CaseChange,
) -> Response[CaseReply | ProblemDocument]:
    """Change Case

     Change a case's name, note or state, or add seeds.

    Args:
        case_id (str):
        body (CaseChange): What to change of a case; what is not named stays. `seeds` are added to
            those that there are.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CaseReply | ProblemDocument]
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
    body: CaseChange,
) -> CaseReply | ProblemDocument | None:
    """Change Case

     Change a case's name, note or state, or add seeds.

    Args:
        case_id (str):
        body (CaseChange): What to change of a case; what is not named stays. `seeds` are added to
            those that there are.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CaseReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            case_id=case_id,
            client=client,
            body=body,
        )
    ).parsed
