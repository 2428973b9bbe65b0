"""Workers, and the tasks that they have announced."""

from datetime import timedelta

from django.db import models
from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

# A worker without a heartbeat for this long is not alive. It sends several in this time, so that a
# single late one does not count.
ALIVE_TIMEOUT = timedelta(seconds=60)


class TaskSpec(models.Model):
    """A task that a worker has announced: its description, available without its code."""

    name = models.CharField(max_length=200, unique=True)
    doc = models.TextField()
    # Text, because the parameters have an order, which PostgreSQL's jsonb does not keep.
    schema = models.TextField(help_text="JSON Schema of the arguments.")
    is_recorded = models.BooleanField(
        default=True, help_text="Whether a worker records each start of the task."
    )
    is_binding = models.BooleanField(
        db_default=False,
        help_text="Whether a call that does not fit the signature fails for certain.",
    )
    last_seen_at = models.DateTimeField(
        help_text=(
            "When the task was first announced, or when a worker that no longer has it was last "
            "seen with it."
        )
    )

    objects = models.Manager["TaskSpec"]()

    def __str__(self) -> str:
        return self.name


class TaskList(models.Model):
    """The set of tasks that a worker has registered, shared by all workers with the same set."""

    digest = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the names of the tasks."
    )
    specs = models.ManyToManyField(TaskSpec, related_name="lists")

    objects = models.Manager["TaskList"]()

    def __str__(self) -> str:
        return self.digest


class Worker(models.Model):
    """A Celery worker: the process that consumes messages, identified by its node name."""

    name = models.CharField(
        max_length=255, unique=True, help_text="Celery node name, such as `celery@host`."
    )
    session = models.UUIDField(help_text="Identifies the process: each start makes a new one.")
    queues = models.JSONField(help_text="Names of the queues that the worker consumes.")
    queue_mismatches = models.JSONField(
        default=list, help_text="Its queues that exist with other arguments than ours."
    )
    returned_tasks = models.JSONField(
        default=list,
        help_text=(
            "Queue and task, as a pair, of messages that it lately gave back because it does not "
            "have the task."
        ),
    )
    version = models.CharField(max_length=100, help_text="Version of the project's code.")
    celery_version = models.CharField(max_length=100)
    pid = models.PositiveIntegerField(help_text="Process id of the main process.")
    concurrency = models.PositiveIntegerField(
        help_text="Number of tasks that the worker runs at once."
    )
    task_list = models.ForeignKey(TaskList, models.PROTECT, related_name="workers")
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(help_text="Time of the last heartbeat.")
    stopped_at = models.DateTimeField(
        null=True, help_text="When the worker announced that it was stopping."
    )

    objects = models.Manager["Worker"]()

    def __str__(self) -> str:
        return self.name


def alive(prefix: str = "") -> Q:
    """Select live workers by the database's clock; `prefix` is the lookup path to them."""
    return Q((f"{prefix}stopped_at", None), (f"{prefix}last_seen_at__gt", Now() - ALIVE_TIMEOUT))


IS_ALIVE = alive()


def with_is_alive(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """Annotate workers with `is_alive`."""
    is_alive = Case(
        When(IS_ALIVE, then=Value(True)), default=Value(False), output_field=BooleanField()
    )
    return workers.annotate(is_alive=is_alive)


def was_announced(name: str) -> Exists:
    """Return whether any worker has announced the task named in a column of the outer query."""
    return Exists(TaskSpec.objects.filter(name=OuterRef(name)))


def has_worker(name: str) -> Exists:
    """Return whether a live worker has the task named in a column of the outer query."""
    living = Worker.objects.filter(IS_ALIVE, task_list__specs__name=OuterRef(name))
    return Exists(living)
