"""The address of the API itself: where everything is."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from scheduler_api.http.viewsets import ANY_KEY, ApiViewSet


@extend_schema_serializer(
    examples=[
        OpenApiExample("Index", {"resources": {"tasks": "http://127.0.0.1:8000/api/v1/tasks/"}})
    ]
)
class IndexSerializer(serializers.Serializer[Any]):
    """Where everything is."""

    resources = serializers.DictField(
        child=serializers.URLField(), help_text="The address of each list, by its name."
    )


class IndexViewSet(ApiViewSet):
    """The list of lists. `resources` are the names of the routes, by those in the answer."""

    resource = "API"
    tag = "Index"
    serializer_class = IndexSerializer
    scopes: ClassVar = {"index": ANY_KEY}
    resources: ClassVar[Mapping[str, str]] = {}

    @extend_schema(responses=IndexSerializer)
    def index(self, request: Request) -> Response:
        """Tell where everything is."""
        addresses = {
            name: reverse(route, request=request) for name, route in self.resources.items()
        }
        return Response(self.get_serializer({"resources": addresses}).data)
