from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem_document import ProblemDocument
from ...models.question_request import QuestionRequest
from ...models.run_reply import RunReply
from ...types import Response


def _get_kwargs(
    *,
    body: QuestionRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/duplicates",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ProblemDocument | RunReply:
    if response.status_code == 202:
        response_202 = RunReply.from_dict(response.json())

        return response_202

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
) -> Response[ProblemDocument | RunReply]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: QuestionRequest,
) -> Response[ProblemDocument | RunReply]:
    """Look For Duplicates

     Begin to look for duplicates over the whole window, in the background; ask for the run to see how
    far it is.

    Args:
        body (QuestionRequest): What to look for. A pair is equal in all attributes of `match` and
            differs in all of `differ`.

            Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | RunReply]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: QuestionRequest,
) -> ProblemDocument | RunReply | None:
    """Look For Duplicates

     Begin to look for duplicates over the whole window, in the background; ask for the run to see how
    far it is.

    Args:
        body (QuestionRequest): What to look for. A pair is equal in all attributes of `match` and
            differs in all of `differ`.

            Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | RunReply
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: QuestionRequest,
) -> Response[ProblemDocument | RunReply]:
    """Look For Duplicates

     Begin to look for duplicates over the whole window, in the background; ask for the run to see how
    far it is.

    Args:
        body (QuestionRequest): What to look for. A pair is equal in all attributes of `match` and
            differs in all of `differ`.

            Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | RunReply]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: QuestionRequest,
) -> ProblemDocument | RunReply | None:
    """Look For Duplicates

     Begin to look for duplicates over the whole window, in the background; ask for the run to see how
    far it is.

    Args:
        body (QuestionRequest): What to look for. A pair is equal in all attributes of `match` and
            differs in all of `differ`.

            Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | RunReply
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
