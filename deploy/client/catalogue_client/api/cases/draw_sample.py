from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem_document import ProblemDocument
from ...models.sample_reply import SampleReply
from ...models.sample_request import SampleRequest
from ...types import Response


def _get_kwargs(
    case_id: str,
    *,
    body: SampleRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/cases/{case_id}/samples".format(
            case_id=quote(str(case_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ProblemDocument | SampleReply:
    if response.status_code == 201:
        response_201 = SampleReply.from_dict(response.json())

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
) -> Response[ProblemDocument | SampleReply]:
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
    body: SampleRequest,
) -> Response[ProblemDocument | SampleReply]:
    """Draw Sample

     Draw a random sample of what nobody judged in the case. Judge all of it, then ask for the estimate.

    Answered from memory alone (`CATALOGUE_RESIDENT`).

    Args:
        case_id (str):
        body (SampleRequest): A sample to draw of the images that nobody judged in the case and
            that the filters let through.

            With `radius` only of those that lie at most so many bits from a relevant code: it then
            says nothing of the others.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | SampleReply]
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
    body: SampleRequest,
) -> ProblemDocument | SampleReply | None:
    """Draw Sample

     Draw a random sample of what nobody judged in the case. Judge all of it, then ask for the estimate.

    Answered from memory alone (`CATALOGUE_RESIDENT`).

    Args:
        case_id (str):
        body (SampleRequest): A sample to draw of the images that nobody judged in the case and
            that the filters let through.

            With `radius` only of those that lie at most so many bits from a relevant code: it then
            says nothing of the others.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | SampleReply
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
    body: SampleRequest,
) -> Response[ProblemDocument | SampleReply]:
    """Draw Sample

     Draw a random sample of what nobody judged in the case. Judge all of it, then ask for the estimate.

    Answered from memory alone (`CATALOGUE_RESIDENT`).

    Args:
        case_id (str):
        body (SampleRequest): A sample to draw of the images that nobody judged in the case and
            that the filters let through.

            With `radius` only of those that lie at most so many bits from a relevant code: it then
            says nothing of the others.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | SampleReply]
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
    body: SampleRequest,
) -> ProblemDocument | SampleReply | None:
    """Draw Sample

     Draw a random sample of what nobody judged in the case. Judge all of it, then ask for the estimate.

    Answered from memory alone (`CATALOGUE_RESIDENT`).

    Args:
        case_id (str):
        body (SampleRequest): A sample to draw of the images that nobody judged in the case and
            that the filters let through.

            With `radius` only of those that lie at most so many bits from a relevant code: it then
            says nothing of the others.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | SampleReply
    """

    return (
        await asyncio_detailed(
            case_id=case_id,
            client=client,
            body=body,
        )
    ).parsed
