"""A plain REST framework view set for the same tables, at `/plain/`.

It serializes the columns that our API serializes, the schedule included, and checks the same key.
It omits computed fields: the next run of a task, and its schedule in words.
"""

from django.urls import include, path
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import CharField, ModelSerializer, PrimaryKeyRelatedField
from rest_framework.viewsets import ModelViewSet


class IntervalSerializer(ModelSerializer):
    class Meta:
        model = IntervalSchedule
        fields = "__all__"


class CrontabSerializer(ModelSerializer):
    timezone = CharField()

    class Meta:
        model = CrontabSchedule
        fields = "__all__"


class SolarSerializer(ModelSerializer):
    class Meta:
        model = SolarSchedule
        fields = "__all__"


class ClockedSerializer(ModelSerializer):
    class Meta:
        model = ClockedSchedule
        fields = "__all__"


def reference(kind, model):
    return PrimaryKeyRelatedField(
        source=kind, queryset=model.objects.all(), allow_null=True, default=None
    )


class PeriodicTaskSerializer(ModelSerializer):
    interval = IntervalSerializer(read_only=True)
    crontab = CrontabSerializer(read_only=True)
    solar = SolarSerializer(read_only=True)
    clocked = ClockedSerializer(read_only=True)
    interval_id = reference("interval", IntervalSchedule)
    crontab_id = reference("crontab", CrontabSchedule)
    solar_id = reference("solar", SolarSchedule)
    clocked_id = reference("clocked", ClockedSchedule)
    owner = CharField(source="managed.owner.name", read_only=True, default=None)

    class Meta:
        model = PeriodicTask
        fields = "__all__"


class Pagination(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


class PeriodicTaskViewSet(ModelViewSet):
    queryset = PeriodicTask.objects.select_related(
        "interval", "crontab", "solar", "clocked", "managed__owner"
    ).order_by("id")
    serializer_class = PeriodicTaskSerializer
    pagination_class = Pagination
    renderer_classes = [JSONRenderer]
    parser_classes = [JSONParser]
    filter_backends = []
    permission_classes = []


router = SimpleRouter()
router.register("periodic-tasks", PeriodicTaskViewSet, basename="plain-periodic-task")

urlpatterns = [path("plain/", include(router.urls)), path("", include("project.urls"))]
