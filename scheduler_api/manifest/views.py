"""The view of the manifest."""

from dataclasses import asdict
from typing import ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.permissions import account_of, caller_of, refuse_without
from scheduler_api.access.scopes import Scope
from scheduler_api.http.etags import expects_revision, refuse_stale
from scheduler_api.http.parsing import BULK_MAX_BYTES, StrictJSONParser
from scheduler_api.http.rendering import JSONRenderer
from scheduler_api.http.viewsets import ApiViewSet
from scheduler_api.http.yaml_parsing import StrictYAMLParser
from scheduler_api.http.yaml_rendering import YAMLRenderer
from scheduler_api.manifest import actions
from scheduler_api.manifest.document import document_of, manifest_etag
from scheduler_api.manifest.serializers import (
    ManifestQuery,
    ManifestResponseSerializer,
    ManifestSerializer,
)
from scheduler_api.periodic_tasks.actions import NameTaken
from scheduler_api.periodic_tasks.quotas import TooManyPeriodicTasks
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from scheduler_api.periodic_tasks.views import PeriodicTaskViewSet


class ManifestViewSet(ApiViewSet):
    """All periodic tasks that the caller owns, as one document."""

    resource = "manifest"
    tag = "Manifest"
    queryset = PeriodicTaskViewSet.queryset
    serializer_class = ManifestSerializer
    pagination_class = None
    filter_backends = ()
    parser_classes = (StrictJSONParser, StrictYAMLParser)
    renderer_classes = (JSONRenderer, YAMLRenderer)
    max_body_bytes = BULK_MAX_BYTES
    scopes: ClassVar = {
        "retrieve": Scope.PERIODIC_TASKS_READ,
        "apply": Scope.PERIODIC_TASKS_WRITE,
    }
    queries: ClassVar = {"apply": ManifestQuery}
    problems: ClassVar = {"apply": (NameTaken, TooManyPeriodicTasks)}

    def get_queryset(self) -> QuerySet[PeriodicTask]:
        """Return the periodic tasks that the caller owns, even if the caller may see others."""
        tasks: QuerySet[PeriodicTask] = super().get_queryset()
        return tasks.filter(managed__owner=account_of(self.request))

    @extend_schema(responses=ManifestSerializer)
    def retrieve(self, request: Request) -> Response:
        """Get a manifest.

        Returns all periodic tasks that the caller owns, as JSON or YAML. Secrets in the arguments
        are shown as `***`. Applying the manifest unchanged changes nothing.
        """
        tasks = list(self.get_queryset())
        return self.answer_definition(document_of(tasks), manifest_etag(tasks))

    @extend_schema(request=ManifestSerializer, responses=ManifestResponseSerializer)
    def apply(self, request: Request) -> Response:
        """Apply a manifest.

        `mode=plan` lists the changes to the caller's periodic tasks; `mode=apply` makes all of
        them or none. Periodic tasks in the manifest become managed by a manifest. `prune=true`
        deletes the caller's periodic tasks that are managed by a manifest and missing from this
        one; it requires the scope `periodic-tasks:delete`.
        """
        query, sent = self.read_query(), ManifestSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        if query["prune"]:
            refuse_without(Scope.PERIODIC_TASKS_DELETE, account_of(request))
        with transaction.atomic():
            actions.lock_account(account_of(request))
            tag = manifest_etag(self.get_queryset())
            if expects_revision(request):
                refuse_stale(request, tag)
            result = actions.apply(
                sent.validated_data["periodic_tasks"],
                to=self.get_queryset(),
                serializer=PeriodicTaskSerializer(context=self.get_serializer_context()),
                prune=query["prune"],
                by=caller_of(request),
            )
            if query["mode"] == "plan":
                transaction.set_rollback(True)
            else:
                tag = manifest_etag(self.get_queryset())
        return Response(
            ManifestResponseSerializer({"mode": query["mode"], **asdict(result)}).data,
            headers={} if self.is_dry_run else {"ETag": tag},
        )
