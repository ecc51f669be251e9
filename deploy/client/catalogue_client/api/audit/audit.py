from http import HTTPStatus
from typing import Any

import httpx

from ...client import AuthenticatedClient, Client
from ...models.audit_reply import AuditReply
from ...models.problem_document import ProblemDocument
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_case_id: None | str | Unset
    if isinstance(case_id, Unset):
        json_case_id = UNSET
    else:
        json_case_id = case_id
    params["case_id"] = json_case_id

    params["limit"] = limit

    json_before: int | None | Unset
    if isinstance(before, Unset):
        json_before = UNSET
    else:
        json_before = before
    params["before"] = json_before

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/audit",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> AuditReply | ProblemDocument:
    if response.status_code == 200:
        response_200 = AuditReply.from_dict(response.json())

        return response_200

    if response.status_code == 503:
        response_503 = ProblemDocument.from_dict(response.json())

        return response_503

    response_default = ProblemDocument.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[AuditReply | ProblemDocument]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
) -> Response[AuditReply | ProblemDocument]:
    """Audit

     The audit log: who exported, decided, changed a watch or a key, and so on; the newest first, a page
    at a time.

    Args:
        case_id (None | str | Unset): Only of this case.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AuditReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        case_id=case_id,
        limit=limit,
        before=before,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
) -> AuditReply | ProblemDocument | None:
    """Audit

     The audit log: who exported, decided, changed a watch or a key, and so on; the newest first, a page
    at a time.

    Args:
        case_id (None | str | Unset): Only of this case.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AuditReply | ProblemDocument
    """

    return sync_detailed(
        client=client,
        case_id=case_id,
        limit=limit,
        before=before,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
) -> Response[AuditReply | ProblemDocument]:
    """Audit

     The audit log: who exported, decided, changed a watch or a key, and so on; the newest first, a page
    at a time.

    Args:
        case_id (None | str | Unset): Only of this case.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AuditReply | ProblemDocument]
    """

    kwargs = _get_kwargs(
        case_id=case_id,
        limit=limit,
        before=before,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    case_id: None | str | Unset = UNSET,
    limit: int | Unset = 100,
    before: int | None | Unset = UNSET,
) -> AuditReply | ProblemDocument | None:
    """Audit

     The audit log: who exported, decided, changed a watch or a key, and so on; the newest first, a page
    at a time.

    Args:
        case_id (None | str | Unset): Only of this case.
        limit (int | Unset):  Default: 100.
        before (int | None | Unset): Only with lower numbers, from the page before.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AuditReply | ProblemDocument
    """

    return (
        await asyncio_detailed(
            client=client,
            case_id=case_id,
            limit=limit,
            before=before,
        )
    ).parsed
