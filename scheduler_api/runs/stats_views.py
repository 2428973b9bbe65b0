"""Statistics of runs over HTTP."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.scopes import Scope
from scheduler_api.http.paging import invalid_parameter
from scheduler_api.runs.filters import IndexedFilter, RunStatsFilter
from scheduler_api.runs.models import Run
from scheduler_api.runs.stats import MAX_RUNS, stats_of
from scheduler_api.runs.stats_serializers import RunStatsQuery, RunStatsSerializer
from scheduler_api.runs.views import ReadsRuns


class RunStatsViewSet(ReadsRuns):
    """Statistics of runs."""

    resource = "run"
    filterset_class = RunStatsFilter
    scopes: ClassVar = {"stats": Scope.RUNS_READ}
    queries: ClassVar = {"stats": RunStatsQuery}
    filtered_actions = frozenset({"stats"})

    @extend_schema(filters=True, responses=RunStatsSerializer)
    def stats(self, request: Request, **address: str) -> Response:
        """Get statistics of runs.

        Returns counts by state, durations and lateness of the runs created in a time range: of all
        together, or grouped by task or periodic task, and by hour or day.
        """
        query = self.read_query()
        after, before = query["created_at_after"], query["created_at_before"]
        runs = self.get_queryset().filter(created_at__gte=after, created_at__lt=before)
        selected = self.filter_queryset(runs)
        refuse_too_many(IndexedFilter(request.query_params, runs).qs)
        groups, is_complete = stats_of(
            selected, group_by=query["group_by"], bucket=query["bucket"]
        )
        answer = {**query, "is_complete": is_complete, "results": groups}
        return Response(RunStatsSerializer(answer).data)


def refuse_too_many(runs: QuerySet[Run]) -> None:
    """Raise InvalidQuery if the response would have to read too much of the ledger.

    Only filters with an index count: with any other, the database reads the rows all the same.
    """
    if runs.order_by()[: MAX_RUNS + 1].count() > MAX_RUNS:
        raise invalid_parameter(
            "created_at_after",
            f"More than {MAX_RUNS:,} runs were entered in this range: take a shorter one, or ask "
            "for one periodic_task or for some states.",
        )
