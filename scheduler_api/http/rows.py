"""The rows of a page: models that are only read, made for less than Django takes.

Django calls each model's `__init__`, which is ready for defaults, deferred columns and receivers
of signals. A row that comes whole from the database has no use for them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.query import ModelIterable

Values = Sequence[Any]


def only_read(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the same rows, for reading alone."""
    rows = rows.all()
    if settings.FAST_PATHS:
        rows._iterable_class = PageIterable
    return rows


class PageIterable(ModelIterable):  # type: ignore[type-arg]  # Django's takes none
    """Yields what django.db.models.query.ModelIterable does, without `Model.__init__`."""

    def __iter__(self) -> Iterator[Any]:
        """Send the query, and yield its rows."""
        compiler = self.queryset.query.get_compiler(using=self.queryset.db)
        results = compiler.execute_sql(
            chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size
        )
        make = maker(compiler.klass_info, compiler.select, self.queryset.db)
        annotations = (compiler.annotation_col_map or {}).items()
        for values in compiler.results_iter(results):
            row = make(values)
            for name, position in annotations:
                setattr(row, name, values[position])
            yield row


def maker(table: Mapping[str, Any], selected: Values, db: str) -> Callable[[Values], Any]:
    """Return what makes a row of a table, and of those joined to it, from all that was selected.

    A joined row does not know the one it is joined to.
    """
    model, positions = table["model"], table["select_fields"]
    whole = slice(positions[0], positions[-1] + 1)
    names = [column.target.attname for column, *_ in selected[whole]]
    joined = [
        (attribute_of(other), key_of(other, selected), maker(other, selected, db))
        for other in table.get("related_klass_infos", ())
    ]

    def make(values: Values) -> Any:
        row = model.__new__(model)
        vars(row).update(zip(names, values[whole], strict=True))
        row._state = state = ModelState()
        state.db, state.adding = db, False
        state.fields_cache = {
            name: None if values[key] is None else make_other(values)
            for name, key, make_other in joined
        }
        return row

    return make


def attribute_of(table: Mapping[str, Any]) -> str:
    """Return the name of the attribute that leads to a joined table."""
    field = table["field"]
    name: str = (field.remote_field if table["reverse"] else field).cache_name
    return name


def key_of(table: Mapping[str, Any], selected: Values) -> int:
    """Return where the primary key of a table stands in what was selected."""
    key: int = next(at for at in table["select_fields"] if selected[at][0].target.primary_key)
    return key
