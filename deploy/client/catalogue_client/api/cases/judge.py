from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...models.judge_request import JudgeRequest
from ...models.problem_document import ProblemDocument
from ...models.progress_reply import ProgressReply
from ...types import Response


def _get_kwargs(
    case_id: str,
    *,
    body: JudgeRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/cases/{case_id}/judgements".format(
            case_id=quote(str(case_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ProblemDocument | ProgressReply:
    if response.status_code == 200:
        response_200 = ProgressReply.from_dict(response.json())

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
) -> Response[ProblemDocument | ProgressReply]:
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
    body: JudgeRequest,
) -> Response[ProblemDocument | ProgressReply]:
    """Judge

     Append judgements to the ledger; the last one of an image counts. `withdrawn` takes the last one
    back.

    Args:
        case_id (str):
        body (JudgeRequest): Verdicts on images that one search, or a sample of the case, has
            shown.

            In `search`, pictures are given by the code that stood for them; `sample` is the sample's
            id.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | ProgressReply]
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
    body: JudgeRequest,
) -> ProblemDocument | ProgressReply | None:
    """Judge

     Append judgements to the ledger; the last one of an image counts. `withdrawn` takes the last one
    back.

    Args:
        case_id (str):
        body (JudgeRequest): Verdicts on images that one search, or a sample of the case, has
            shown.

            In `search`, pictures are given by the code that stood for them; `sample` is the sample's
            id.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | ProgressReply
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
    body: JudgeRequest,
) -> Response[ProblemDocument | ProgressReply]:
    """Judge

     Append judgements to the ledger; the last one of an image counts. `withdrawn` takes the last one
    back.

    Args:
        case_id (str):
        body (JudgeRequest): Verdicts on images that one search, or a sample of the case, has
            shown.

            In `search`, pictures are given by the code that stood for them; `sample` is the sample's
            id.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ProblemDocument | ProgressReply]
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
    body: JudgeRequest,
) -> ProblemDocument | ProgressReply | None:
    """Judge

     Append judgements to the ledger; the last one of an image counts. `withdrawn` takes the last one
    back.

    Args:
        case_id (str):
        body (JudgeRequest): Verdicts on images that one search, or a sample of the case, has
            shown.

            In `search`, pictures are given by the code that stood for them; `sample` is the sample's
            id.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ProblemDocument | ProgressReply
    """

    return (
        await asyncio_detailed(
            case_id=case_id,
            client=client,
            body=body,
        )
    ).parsed
