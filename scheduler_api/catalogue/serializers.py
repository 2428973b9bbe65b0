"""Serializers of tasks and workers."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.catalogue.models import Worker
from scheduler_api.catalogue.task_lookup import KnownTask
from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictModelSerializer

TASK: dict[str, Any] = {
    "name": "project.tasks.add",
    "doc": "Add two whole numbers.",
    "arguments": {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        "required": ["x", "y"],
        "additionalProperties": False,
    },
    "worker_count": 1,
    "last_seen_at": "2027-03-28T01:00:20Z",
}
WORKER: dict[str, Any] = {
    "name": "celery@worker-1",
    "queues": ["celery"],
    "version": "0.1.0",
    "is_alive": True,
    "last_seen_at": "2027-03-28T01:00:20Z",
}
WHOLE_WORKER: dict[str, Any] = {
    **WORKER,
    "celery_version": "5.7.0",
    "pid": 4711,
    "concurrency": 2,
    "started_at": "2027-03-28T00:00:00Z",
    "stopped_at": None,
}


class WorkerOfTaskSerializer(StrictModelSerializer):
    """A worker that has a task registered, or had it when it was last seen."""

    queues = serializers.SerializerMethodField(help_text="Queues that the worker consumes.")
    is_alive = serializers.SerializerMethodField(
        help_text=(
            "Whether the worker has sent a heartbeat in the last 60 seconds and has not announced "
            "that it is stopping."
        )
    )

    class Meta:
        model = Worker
        fields: ClassVar[tuple[str, ...]] = (
            "name",
            "queues",
            "version",
            "is_alive",
            "last_seen_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"help_text": "Celery node name of the worker, such as `celery@host`."},
            "version": {
                "help_text": "Version of the worker's code: the value of its `APP_VERSION`."
            },
            "last_seen_at": {"help_text": "Time of the worker's last heartbeat."},
        }

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_queues(self, worker: Worker) -> list[str]:
        """Return the queues that the worker consumes."""
        queues: list[str] = worker.queues
        return queues

    def get_is_alive(self, worker: Any) -> bool:
        """Return the annotation, which the database computed by its own clock."""
        return bool(worker.is_alive)


@extend_schema_serializer(examples=[OpenApiExample("A worker", WHOLE_WORKER)])
class WorkerSerializer(WorkerOfTaskSerializer):
    """A Celery worker."""

    class Meta(WorkerOfTaskSerializer.Meta):
        fields = (
            *WorkerOfTaskSerializer.Meta.fields,
            "celery_version",
            "pid",
            "concurrency",
            "started_at",
            "stopped_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            **WorkerOfTaskSerializer.Meta.extra_kwargs,
            "celery_version": {"help_text": "Version of Celery that the worker runs."},
            "pid": {"help_text": "Process ID of the worker's main process on its host."},
            "concurrency": {"help_text": "Number of tasks that the worker runs at the same time."},
            "started_at": {"help_text": "Time when the worker started to consume messages."},
            "stopped_at": {
                "help_text": "Time when the worker announced that it was stopping; null if it has "
                "not."
            },
        }


@extend_schema_serializer(examples=[OpenApiExample("Task", TASK)])
class TaskSerializer(serializers.Serializer[KnownTask]):
    """A Celery task and its arguments."""

    name = serializers.CharField(
        source="task.name",
        help_text="Name of the task: the value of `task` in a periodic task.",
    )
    doc = serializers.CharField(
        source="task.doc", help_text="Docstring of the task; empty if it has none."
    )
    arguments = serializers.SerializerMethodField(
        help_text="JSON Schema (2020-12) of the arguments: an object by parameter name."
    )
    worker_count = serializers.IntegerField(
        source="availability.worker_count", help_text="Number of live workers that have the task."
    )
    last_seen_at = fields.Instant(
        source="availability.last_seen_at",
        allow_null=True,
        help_text=(
            "Time of the last heartbeat of a worker that has the task; null if no worker ever had "
            "it."
        ),
    )

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_arguments(self, known: KnownTask) -> dict[str, Any]:
        """Return the schema of the signature."""
        return known.task.signature.schema


@extend_schema_serializer(examples=[OpenApiExample("Task", {**TASK, "workers": [WORKER]})])
class TaskDetailSerializer(TaskSerializer):
    """A Celery task, its arguments and its workers."""

    workers = WorkerOfTaskSerializer(
        many=True,
        help_text=(
            "Workers that have the task, or had it when they were last seen, sorted by name."
        ),
    )
