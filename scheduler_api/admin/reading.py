"""Admin classes of tables that only the service writes."""

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from scheduler_api.access.redaction import redacted

MAX_COUNT = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """A paginator that counts no more than MAX_COUNT rows: a count reads a whole ledger."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        """Return the number of rows, at most MAX_COUNT."""
        return self.object_list.order_by()[:MAX_COUNT].count()


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Shows rows; nobody may add, change or delete one."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return all columns; Django's leaves out times that it sets itself, such as `at`."""
        excluded = self.exclude or ()
        columns = self.model._meta.concrete_fields
        return self.fields or [each.name for each in columns if each.name not in excluded]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False


def choice_filter(field: str, choices: list[tuple[str, str]]) -> type[admin.SimpleListFilter]:
    """Return a filter by a column, of which Django would read all values to find its choices."""

    class ChoiceFilter(admin.SimpleListFilter):
        title = field.replace("_", " ")
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    return ChoiceFilter


def redacted_json(text: str) -> str:
    """Return stored JSON with its secrets redacted; a mask for text that is no JSON."""
    try:
        return shown_json(redacted(json.loads(text)))
    except ValueError:
        return "(not valid JSON)"


def shown_json(value: object) -> str:
    """Return JSON for people; half of a surrogate pair, which no page can have, is escaped."""
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
