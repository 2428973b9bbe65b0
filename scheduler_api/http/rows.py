"""Fast loading of read-only model instances for pages.

Django calls each model's `__init__`, which handles defaults, deferred columns and signals. A row
read from the database with all its columns needs none of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.query import ModelIterable

Values = Sequence[Any]


def read_only(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the same rows, to be read and never saved."""
    rows = rows.all()
    if settings.FAST_PATHS:
        rows._iterable_class = PageIterable
    return rows


class PageIterable(ModelIterable):  # type: ignore[type-arg]  # ModelIterable takes no type argument
    """Yield the same as django.db.models.query.ModelIterable, without calling `Model.__init__`."""

    def __iter__(self) -> Iterator[Any]:
        """Execute the query and yield its rows."""
        compiler = self.queryset.query.get_compiler(using=self.queryset.db)
        results = compiler.execute_sql(
            chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size
        )
        make = row_factory(compiler.klass_info, compiler.select, self.queryset.db)
        annotations = (compiler.annotation_col_map or {}).items()
        for values in compiler.results_iter(results):
            row = make(values)
            for name, position in annotations:
                setattr(row, name, values[position])
            yield row


def row_factory(table: Mapping[str, Any], selected: Values, db: str) -> Callable[[Values], Any]:
    """Return a factory of a table's instances, with their joined rows, from selected values.

    A joined instance has no cached reference back to the instance it is joined to.
    """
    model, positions = table["model"], table["select_fields"]
    whole = slice(positions[0], positions[-1] + 1)
    names = [column.target.attname for column, *_ in selected[whole]]
    joined = [
        (cache_name(other), key_of(other, selected), row_factory(other, selected, db))
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


def cache_name(table: Mapping[str, Any]) -> str:
    """Return the name of the attribute that caches a joined row."""
    field = table["field"]
    name: str = (field.remote_field if table["reverse"] else field).cache_name
    return name


def key_of(table: Mapping[str, Any], selected: Values) -> int:
    """Return the position of a table's primary key among the selected values."""
    key: int = next(at for at in table["select_fields"] if selected[at][0].target.primary_key)
    return key
