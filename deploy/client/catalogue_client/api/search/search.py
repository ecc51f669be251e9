from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.problem_document import ProblemDocument
from ...models.search_reply import SearchReply
from ...models.search_request import SearchRequest
from ...types import Response


def _get_kwargs(
    *,
    body: SearchRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/search",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ProblemDocument | SearchReply:
    if response.status_code == 200:
        response_200 = SearchReply.from_dict(response.json())

        return response_200

    if response.status_code == 404:
        response_404 = ProblemDocument.from_dict(response.json())

        return response_404

    if response.status_code == 413:
        response_413 = ProblemDocument.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = ProblemDocument.from_dict(response.json())

        return response_415

    if response.status_code == 422:
        response_422 = ProblemDocument.from_dict(response.json())

        return response_422

    if response.status_code == 502:
        response_502 = ProblemDocument.from_dict(response.json())

        return response_502

    if response.status_code == 503:
        response_503 = ProblemDocument.from_dict(response.json())

        return response_503

    if response.status_code == 504:
        response_504 = ProblemDocument.from_dict(response.json())

        return response_504

    response_default = ProblemDocument.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ProblemDocument | SearchReply]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: SearchRequest,
) -> Response[ProblemDocument | SearchReply]:
    """Search

     The nearest visible images of the seeds, by Hamming distance, then image id, cut at k by the same
    order.

    With a radius and no k: all within the radius, as JSON Lines, one hit a line; the last line is the
    reply without its
    hits, and says whether they are complete.

    Args:
        body (SearchRequest): A query: the `k` nearest images of the seeds, none further than
            `radius`; without `k`, all within `radius`.

            Of several seeds, an image's distance is the sum of its distances to each, by weight
            (`combine` "seeds"); or its
            bits are weighed by how well they tell seeds of positive weight from those of negative
            weight ("bits").

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | SearchReply]
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
    body: SearchRequest,
) -> ProblemDocument | SearchReply | None:
    """Search

     The nearest visible images of the seeds, by Hamming distance, then image id, cut at k by the same
    order.

    With a radius and no k: all within the radius, as JSON Lines, one hit a line; the last line is the
    reply without its
    hits, and says whether they are complete.

    Args:
        body (SearchRequest): A query: the `k` nearest images of the seeds, none further than
            `radius`; without `k`, all within `radius`.

            Of several seeds, an image's distance is the sum of its distances to each, by weight
            (`combine` "seeds"); or its
            bits are weighed by how well they tell seeds of positive weight from those of negative
            weight ("bits").

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | SearchReply
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: SearchRequest,
) -> Response[ProblemDocument | SearchReply]:
    """Search

     The nearest visible images of the seeds, by Hamming distance, then image id, cut at k by the same
    order.

    With a radius and no k: all within the radius, as JSON Lines, one hit a line; the last line is the
    reply without its
    hits, and says whether they are complete.

    Args:
        body (SearchRequest): A query: the `k` nearest images of the seeds, none further than
            `radius`; without `k`, all within `radius`.

            Of several seeds, an image's distance is the sum of its distances to each, by weight
            (`combine` "seeds"); or its
            bits are weighed by how well they tell seeds of positive weight from those of negative
            weight ("bits").

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | SearchReply]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: SearchRequest,
) -> ProblemDocument | SearchReply | None:
    """Search

     The nearest visible images of the seeds, by Hamming distance, then image id, cut at k by the same
    order.

    With a radius and no k: all within the radius, as JSON Lines, one hit a line; the last line is the
    reply without its
    hits, and says whether they are complete.

    Args:
        body (SearchRequest): A query: the `k` nearest images of the seeds, none further than
            `radius`; without `k`, all within `radius`.

            Of several seeds, an image's distance is the sum of its distances to each, by weight
            (`combine` "seeds"); or its
            bits are weighed by how well they tell seeds of positive weight from those of negative
            weight ("bits").

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | SearchReply
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
