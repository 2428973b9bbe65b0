"""Batches: many operations in one request and one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from rest_framework import status
from rest_framework.exceptions import ValidationError

from scheduler_api.access.audit import Caller
from scheduler_api.access.permissions import refuse_without
from scheduler_api.access.scopes import Scope
from scheduler_api.http.etags import RevisionMismatch
from scheduler_api.http.problems import (
    MAX_ERRORS,
    Mistake,
    NotFound,
    Problem,
    ValidationFailed,
    first_mistakes,
    join,
    mistakes_in,
    sentence,
)
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.actions import Draft
from scheduler_api.periodic_tasks.serializers import PauseSerializer, PeriodicTaskSerializer

Operation = Mapping[str, Any]


@dataclass(kw_only=True)
class OperationResult:
    """The result of the operation at a JSON pointer in the body."""

    pointer: str
    status: int = status.HTTP_200_OK
    task: PeriodicTask | None = None
    problem: Problem | None = None
    has_place: bool = False
    """Whether the mistakes of the problem point into the body of the batch."""


@dataclass(kw_only=True)
class Batch:
    """Executes operations in order, within the transaction of its caller.

    Each operation behaves like the single request that it stands for. `tasks` are the periodic
    tasks visible to the caller; `etag_of` returns the ETag of one. An operation that fails is
    undone, and the others continue.
    """

    tasks: QuerySet[PeriodicTask]
    serializer: PeriodicTaskSerializer
    etag_of: Callable[[PeriodicTask], str]
    by: Caller
    locked: dict[int, PeriodicTask] = field(default_factory=dict)
    new: list[tuple[Draft, OperationResult]] = field(default_factory=list)

    def execute(
        self, operations: Sequence[Operation], *, is_atomic: bool
    ) -> list[OperationResult]:
        """Execute the operations; return a result for each.

        If all are undone because one fails, those after the last mistake that a response lists
        are not executed. Otherwise their results have no mistakes in detail.
        """
        self.lock({operation["id"] for operation in operations if "id" in operation})
        results: list[OperationResult] = []
        room = MAX_ERRORS + 1
        for index, operation in enumerate(operations):
            if is_atomic and room <= 0:
                break
            if operation["op"] != "create":
                self.store_new()
            result = OperationResult(pointer=join("/operations", index))
            try:
                getattr(self, operation["op"])(operation, result)
            except Problem as problem:
                result.problem = problem
            except ValidationError as error:
                mistakes = first_mistakes(mistakes_in(error.detail))
                result.problem = ValidationFailed(errors=mistakes)
            if result.problem:
                room = cut(result, room)
            results.append(result)
        self.store_new()
        for result in results:
            if result.problem and not result.has_place:
                room = cut(result, room)
        return results

    def lock(self, ids: set[int]) -> None:
        """Lock the tasks to change, in order of id, so that two batches cannot deadlock."""
        rows = self.tasks.filter(pk__in=ids).select_for_update(of=("self",), no_key=True)
        rows = rows.order_by("pk")
        self.locked = {task.pk: task for task in rows}

    # --- One method per `op` ------------------------------------------------------------------

    def create(self, operation: Operation, result: OperationResult) -> None:
        """Validate a new task. Consecutive new tasks are stored together, which is faster."""
        result.status = status.HTTP_201_CREATED
        self.new.append((self.serializer.check(operation["body"]), result))

    def update(self, operation: Operation, result: OperationResult) -> None:
        """Change the given fields of a task."""
        task = self.task_of(operation)
        draft = self.serializer.check(operation["body"], task=task, partial=True)
        actions.change(task, draft, by=self.by)
        result.task = self.locked[task.pk] = draft.task

    def delete(self, operation: Operation, result: OperationResult) -> None:
        """Delete a task; this requires a scope of its own."""
        refuse_without(Scope.PERIODIC_TASKS_DELETE, self.by.account)
        task = self.task_of(operation)
        del self.locked[task.pk]
        actions.delete(task, by=self.by)
        result.status = status.HTTP_204_NO_CONTENT

    def pause(self, operation: Operation, result: OperationResult) -> None:
        """Pause a task."""
        result.task = self.task_of(operation)
        pause = PauseSerializer(data=operation["body"])
        pause.is_valid(raise_exception=True)
        actions.pause(result.task, **pause.validated_data, by=self.by)

    def resume(self, operation: Operation, result: OperationResult) -> None:
        """Resume a task."""
        result.task = self.task_of(operation)
        actions.resume(result.task, by=self.by)

    # ------------------------------------------------------------------------------------------

    def task_of(self, operation: Operation) -> PeriodicTask:
        """Return the task of an operation.

        Raises:
            NotFound: no task visible to the caller has this id.
            RevisionMismatch: the task changed since the caller read it.

        """
        task = self.locked.get(operation["id"])
        if task is None:
            raise NotFound("There is no periodic task with this id.")
        if "if_match" in operation and operation["if_match"] not in {"*", self.etag_of(task)}:
            raise RevisionMismatch("Read it again, and send its current ETag as if_match.")
        return task

    def store_new(self) -> None:
        """Store the validated new tasks together, or one by one if that fails."""
        waiting, self.new = self.new, []
        taken = actions.taken_names(draft.task.name for draft, _ in waiting) if waiting else set()
        fresh = []
        for draft, result in waiting:
            if draft.task.name in taken:
                result.problem = actions.name_taken(draft.task.name)
                continue
            taken.add(draft.task.name)
            result.task = draft.task
            fresh.append((draft, result))
        try:
            actions.create_all([draft for draft, _ in fresh], by=self.by)
        except Problem:
            for draft, result in fresh:
                draft.task.pk = None
                try:
                    actions.create(draft, by=self.by)
                except Problem as problem:
                    result.problem = problem


def cut(result: OperationResult, room: int) -> int:
    """Give the mistakes of a failed operation their place; return the room for further ones."""
    assert result.problem is not None
    mistakes = mistakes_at(result.problem, result.pointer)
    result.problem.errors, result.has_place = mistakes[: max(room, 0)], True
    return room - len(mistakes)


def mistakes_at(problem: Problem, pointer: str) -> list[Mistake]:
    """Return the mistakes of an operation, with pointers into the body of the batch."""
    if not problem.errors:
        return [Mistake(pointer=pointer, code=problem.code, detail=problem.detail)]
    return [
        replace(mistake, pointer=f"{pointer}/body{mistake.pointer}") for mistake in problem.errors
    ]


def refuse_failed(results: Sequence[OperationResult]) -> None:
    """Raise the first problem, with the mistakes of all operations; this undoes the batch."""
    problems = [result.problem for result in results if result.problem]
    if problems:
        problems[0].errors = [mistake for problem in problems for mistake in problem.errors]
        problems[0].detail = sentence(problems[0].errors)
        raise problems[0]
