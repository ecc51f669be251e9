from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.explain_reply import ExplainReply
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    image_id: str,
    seed: None | str | Unset = UNSET,
    code: None | str | Unset = UNSET,
    k: int | None | Unset = UNSET,
    radius: int | None | Unset = UNSET,
    filter_: None | str | Unset = UNSET,
    since: None | str | Unset = UNSET,
    until: None | str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["image_id"] = image_id

    json_seed: None | str | Unset
    if isinstance(seed, Unset):
        json_seed = UNSET
    else:
        json_seed = seed
    params["seed"] = json_seed

    json_code: None | str | Unset
    if isinstance(code, Unset):
        json_code = UNSET
    else:
        json_code = code
    params["code"] = json_code

    json_k: int | None | Unset
    if isinstance(k, Unset):
        json_k = UNSET
    else:
        json_k = k
    params["k"] = json_k

    json_radius: int | None | Unset
    if isinstance(radius, Unset):
        json_radius = UNSET
    else:
        json_radius = radius
    params["radius"] = json_radius

    json_filter_: None | str | Unset
    if isinstance(filter_, Unset):
        json_filter_ = UNSET
    else:
        json_filter_ = filter_
    params["filter"] = json_filter_

    json_since: None | str | Unset
    if isinstance(since, Unset):
        json_since = UNSET
    else:
        json_since = since
    params["since"] = json_since

    json_until: None | str | Unset
    if isinstance(until, Unset):
        json_until = UNSET
    else:
        json_until = until
    params["until"] = json_until

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/explain",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ExplainReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = ExplainReply.from_dict(response.json())

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
) -> Response[ExplainReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    image_id: str,
    seed: None | str | Unset = UNSET,
    code: None | str | Unset = UNSET,
    k: int | None | Unset = UNSET,
    radius: int | None | Unset = UNSET,
    filter_: None | str | Unset = UNSET,
    since: None | str | Unset = UNSET,
    until: None | str | Unset = UNSET,
) -> Response[ExplainReply | ProblemDocument]:
    """Explain

     Why an image is among the hits of a search, or why it is not.

    Args:
        image_id (str): The image that is asked about.
        seed (None | str | Unset): An indexed image as seed; or else give `code`.
        code (None | str | Unset): A hash code as seed.
        k (int | None | Unset):
        radius (int | None | Unset):
        filter_ (None | str | Unset): JSON: attribute to list of values.
        since (None | str | Unset):
        until (None | str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExplainReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        image_id=image_id,
        seed=seed,
        code=code,
        k=k,
        radius=radius,
        filter_=filter_,
        since=since,
        until=until,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    image_id: str,
    seed: None | str | Unset = UNSET,
    code: None | str | Unset = UNSET,
    k: int | None | Unset = UNSET,
    radius: int | None | Unset = UNSET,
    filter_: None | str | Unset = UNSET,
    since: None | str | Unset = UNSET,
    until: None | str | Unset = UNSET,
) -> ExplainReply | ProblemDocument | None:
    """Explain

     Why an image is among the hits of a search, or why it is not.

    Args:
        image_id (str): The image that is asked about.
        seed (None | str | Unset): An indexed image as seed; or else give `code`.
        code (None | str | Unset): A hash code as seed.
        k (int | None | Unset):
        radius (int | None | Unset):
        filter_ (None | str | Unset): JSON: attribute to list of values.
        since (None | str | Unset):
        until (None | str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExplainReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        image_id=image_id,
        seed=seed,
        code=code,
        k=k,
        radius=radius,
        filter_=filter_,
        since=since,
        until=until,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    image_id: str,
    seed: None | str | Unset = UNSET,
    code: None | str | Unset = UNSET,
    k: int | None | Unset = UNSET,
    radius: int | None | Unset = UNSET,
    filter_: None | str | Unset = UNSET,
    since: None | str | Unset = UNSET,
    until: None | str | Unset = UNSET,
) -> Response[ExplainReply | ProblemDocument]:
    """Explain

     Why an image is among the hits of a search, or why it is not.

    Args:
        image_id (str): The image that is asked about.
        seed (None | str | Unset): An indexed image as seed; or else give `code`.
        code (None | str | Unset): A hash code as seed.
        k (int | None | Unset):
        radius (int | None | Unset):
        filter_ (None | str | Unset): JSON: attribute to list of values.
        since (None | str | Unset):
        until (None | str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ExplainReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        image_id=image_id,
        seed=seed,
        code=code,
        k=k,
        radius=radius,
        filter_=filter_,
        since=since,
        until=until,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    image_id: str,
    seed: None | str | Unset = UNSET,
    code: None | str | Unset = UNSET,
    k: int | None | Unset = UNSET,
    radius: int | None | Unset = UNSET,
    filter_: None | str | Unset = UNSET,
    since: None | str | Unset = UNSET,
    until: None | str | Unset = UNSET,
) -> ExplainReply | ProblemDocument | None:
    """Explain

     Why an image is among the hits of a search, or why it is not.

    Args:
        image_id (str): The image that is asked about.
        seed (None | str | Unset): An indexed image as seed; or else give `code`.
        code (None | str | Unset): A hash code as seed.
        k (int | None | Unset):
        radius (int | None | Unset):
        filter_ (None | str | Unset): JSON: attribute to list of values.
        since (None | str | Unset):
        until (None | str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ExplainReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            image_id=image_id,
            seed=seed,
            code=code,
            k=k,
            radius=radius,
            filter_=filter_,
            since=since,
            until=until,
        )
    ).parsed
