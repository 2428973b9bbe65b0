"""The whole API on one screen."""

from django.urls import include, path, re_path
from django.views.generic import RedirectView
from rest_framework.routers import SimpleRouter

from scheduler_api.access.views import (
    ApiKeyViewSet,
    AuditEntryViewSet,
    ServiceAccountViewSet,
)
from scheduler_api.catalogue.views import TaskViewSet, WorkerViewSet
from scheduler_api.http.compression import compressed_page
from scheduler_api.http.index import IndexViewSet
from scheduler_api.http.read_only import read_only
from scheduler_api.http.routing import UnknownPath
from scheduler_api.manifest.views import ManifestViewSet
from scheduler_api.openapi.document import openapi
from scheduler_api.openapi.pages import RedocPage, SwaggerPage
from scheduler_api.ops.views import healthz, readyz
from scheduler_api.periodic_tasks.by_name_views import PeriodicTaskByNameViewSet
from scheduler_api.periodic_tasks.upcoming_views import UpcomingViewSet
from scheduler_api.periodic_tasks.views import PeriodicTaskViewSet
from scheduler_api.runs.backfill_views import BackfillViewSet
from scheduler_api.runs.stats_views import RunStatsViewSet
from scheduler_api.runs.views import RunsOfPeriodicTaskViewSet, RunViewSet
from scheduler_api.schedules.views import (
    ClockedScheduleViewSet,
    CrontabScheduleViewSet,
    IntervalScheduleViewSet,
    PreviewViewSet,
    SolarScheduleViewSet,
)
from scheduler_api.webhooks.views import DeliveryViewSet, WebhookViewSet

router = SimpleRouter()
router.register("interval-schedules", IntervalScheduleViewSet, basename="interval-schedule")
router.register("crontab-schedules", CrontabScheduleViewSet, basename="crontab-schedule")
router.register("solar-schedules", SolarScheduleViewSet, basename="solar-schedule")
router.register("clocked-schedules", ClockedScheduleViewSet, basename="clocked-schedule")
router.register("schedules", PreviewViewSet, basename="schedule")
router.register("service-accounts", ServiceAccountViewSet, basename="service-account")
router.register("api-keys", ApiKeyViewSet, basename="api-key")
router.register("audit-entries", AuditEntryViewSet, basename="audit-entry")
router.register("periodic-tasks", PeriodicTaskViewSet, basename="periodic-task")
router.register("runs", RunViewSet, basename="run")
router.register("tasks", TaskViewSet, basename="task")
router.register("workers", WorkerViewSet, basename="worker")
router.register("webhooks", WebhookViewSet, basename="webhook")
router.register("deliveries", DeliveryViewSet, basename="delivery")

lists = {"manifest": "manifest", "upcoming": "upcoming"} | {
    prefix: f"{basename}-list" for prefix, _, basename in router.registry if prefix != "schedules"
}

urlpatterns = [
    path("api/v1/", IndexViewSet.as_view({"get": "index"}, resources=lists), name="index"),
    path(
        "api/v1/manifest/",
        ManifestViewSet.as_view({"get": "retrieve", "post": "apply"}),
        name="manifest",
    ),
    re_path(
        "^api/v1/periodic-tasks/(?P<pk>[0-9]{1,18})/runs/$",
        RunsOfPeriodicTaskViewSet.as_view({"get": "runs", "post": "run_now"}),
        name="periodic-task-runs",
    ),
    re_path(
        "^api/v1/periodic-tasks/(?P<pk>[0-9]{1,18})/backfill/$",
        BackfillViewSet.as_view({"post": "backfill"}),
        name="periodic-task-backfill",
    ),
    re_path(
        r"^api/v1/periodic-tasks/by-name/(?P<name>[\s\S]+)/$",
        PeriodicTaskByNameViewSet.as_view(
            {
                "get": "retrieve",
                "put": "put_by_name",
                "patch": "partial_update",
                "delete": "destroy",
            },
            basename="periodic-task",
        ),
        name="periodic-task-by-name",
    ),
    path("api/v1/upcoming/", UpcomingViewSet.as_view({"get": "upcoming"}), name="upcoming"),
    path("api/v1/runs/stats/", RunStatsViewSet.as_view({"get": "stats"}), name="run-stats"),
    path("api/v1/", include(router.urls)),
    re_path(r"^api/", UnknownPath.as_view()),
    path("", read_only(RedirectView.as_view(pattern_name="docs"))),
    path("openapi.yaml", openapi, name="openapi"),
    path(
        "docs/", read_only(compressed_page(SwaggerPage.as_view(url_name="openapi"))), name="docs"
    ),
    path(
        "redoc/", read_only(compressed_page(RedocPage.as_view(url_name="openapi"))), name="redoc"
    ),
    path("healthz", healthz),
    path("readyz", readyz),
]
