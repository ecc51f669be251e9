from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.made_key_state import MadeKeyState, check_made_key_state
from ..models.scope import Scope, check_scope

T = TypeVar("T", bound="MadeKey")


@_attrs_define
class MadeKey:
    """A key with its secret, which is shown this once."""

    name: str
    key_id: str
    """ Stands in the secret, after `catalogue_`. """
    scope: Scope
    """ What somebody may do; each includes those before it. """
    state: MadeKeyState
    made_at: datetime.datetime
    made_by: str
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    used_at: datetime.datetime | None
    """ Last use, to about a minute. """
    previous_until: datetime.datetime | None
    """ Until then the secret before the last rotation works. """
    secret: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        key_id = self.key_id

        scope: str = self.scope

        state: str = self.state

        made_at = self.made_at.isoformat()

        made_by = self.made_by

        expires_at: None | str
        if isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        revoked_at: None | str
        if isinstance(self.revoked_at, datetime.datetime):
            revoked_at = self.revoked_at.isoformat()
        else:
            revoked_at = self.revoked_at

        used_at: None | str
        if isinstance(self.used_at, datetime.datetime):
            used_at = self.used_at.isoformat()
        else:
            used_at = self.used_at

        previous_until: None | str
        if isinstance(self.previous_until, datetime.datetime):
            previous_until = self.previous_until.isoformat()
        else:
            previous_until = self.previous_until

        secret = self.secret

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "key_id": key_id,
                "scope": scope,
                "state": state,
                "made_at": made_at,
                "made_by": made_by,
                "expires_at": expires_at,
                "revoked_at": revoked_at,
                "used_at": used_at,
                "previous_until": previous_until,
                "secret": secret,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        key_id = d.pop("key_id")

        scope = check_scope(d.pop("scope"))

        state = check_made_key_state(d.pop("state"))

        made_at = datetime.datetime.fromisoformat(d.pop("made_at"))

        made_by = d.pop("made_by")

        def _parse_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        expires_at = _parse_expires_at(d.pop("expires_at"))

        def _parse_revoked_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                revoked_at_type_0 = datetime.datetime.fromisoformat(data)

                return revoked_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        revoked_at = _parse_revoked_at(d.pop("revoked_at"))

        def _parse_used_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                used_at_type_0 = datetime.datetime.fromisoformat(data)

                return used_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        used_at = _parse_used_at(d.pop("used_at"))

        def _parse_previous_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_until_type_0 = datetime.datetime.fromisoformat(data)

                return previous_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        previous_until = _parse_previous_until(d.pop("previous_until"))

        secret = d.pop("secret")

        made_key = cls(
            name=name,
            key_id=key_id,
            scope=scope,
            state=state,
            made_at=made_at,
            made_by=made_by,
            expires_at=expires_at,
            revoked_at=revoked_at,
            used_at=used_at,
            previous_until=previous_until,
            secret=secret,
        )

        made_key.additional_properties = d
        return made_key

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
