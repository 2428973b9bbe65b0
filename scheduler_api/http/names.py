"""Names: one spelling for each, in a body and in a URL alike, and nothing invisible in it.

Two names that look the same would be two objects otherwise, and a name that a URL cannot carry
would lead to another object, or to none.
"""

import unicodedata
from typing import Any

from django.db.models import QuerySet

from scheduler_api.http.fields import Text
from scheduler_api.http.filtering import TextFilter

# Control characters, format characters (such as bidirectional overrides and zero-width blanks),
# halves of a pair, line and paragraph separators.
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Joiners are part of words in some scripts, and of emoji.
JOINERS = "\u200c\u200d"


def normalized(name: str) -> str:
    """Return the spelling of a name that is stored: NFC, without blanks at both ends."""
    return unicodedata.normalize("NFC", name).strip()


def invisible_in(name: str) -> str:
    """Return the first character of a name that must not be in one; "" without any."""
    return next(
        (
            character
            for character in name
            if unicodedata.category(character) in INVISIBLE and character not in JOINERS
        ),
        "",
    )


def spellings(name: str) -> list[str]:
    """Return a name as it was sent, which other programs may have stored, and its normal form."""
    return list(dict.fromkeys([name, normalized(name)]))


def find_by_name(rows: QuerySet[Any], name: str) -> Any:
    """Return the row with this name as it was sent, else with its normal form, else None."""
    found = {row.name: row for row in rows.filter(name__in=spellings(name))}
    return next((found[spelling] for spelling in spellings(name) if spelling in found), None)


class Name(Text):
    """A name for people: normalized, without invisible characters.

    A row that another program stored keeps its name if the caller sends it back.
    """

    default_error_messages = {
        "invisible": "Must not have the invisible character {character}. Remove it."
    }

    def to_internal_value(self, data: Any) -> str:
        """Return the normal form; refuse an invisible character."""
        stored = getattr(getattr(self.parent, "instance", None), str(self.source), None)
        if isinstance(data, str) and data == stored:
            return data
        name = normalized(super().to_internal_value(data))
        if character := invisible_in(name):
            self.fail("invisible", character=f"U+{ord(character):04X}")
        return name


class AddressName(Name):
    """A name that is part of a URL."""

    default_error_messages = {
        "dot_segment": "Must not have . or .. between slashes: a URL cannot carry it. Rename it."
    }

    def to_internal_value(self, data: Any) -> str:
        """Refuse a part that clients resolve, such as `..`."""
        name = super().to_internal_value(data)
        stored = getattr(getattr(self.parent, "instance", None), str(self.source), None)
        if name != stored and not {".", ".."}.isdisjoint(name.split("/")):
            self.fail("dot_segment")
        return name


class NameFilter(TextFilter):
    """A filter by an exact name, as it was sent or in NFC."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Select the rows with either."""
        composed = unicodedata.normalize("NFC", value or "")
        if composed == (value or ""):
            rows: QuerySet[Any] = super().filter(qs, value)
            return rows
        return qs.filter(**{f"{self.field_name}__in": [value, composed]})
