"""The index: the URLs of all lists."""

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
    ],
    component_name="ApiIndex",
)
class IndexSerializer(serializers.Serializer[Any]):
    """The URLs of all collections."""

    resources = serializers.DictField(
        child=serializers.URLField(), help_text="URL of each collection, by name."
    )


class IndexViewSet(ApiViewSet):
    """The index of the API. `resources` maps names in the response to route names."""

    resource = "API"
    tag = "Index"
    serializer_class = IndexSerializer
    scopes: ClassVar = {"index": ANY_KEY}
    resources: ClassVar[Mapping[str, str]] = {}

    @extend_schema(responses=IndexSerializer)
    def index(self, request: Request) -> Response:
        """List the collections.

        Returns the URL of each collection by its name. Every key may call this.
        """
        urls = {name: reverse(route, request=request) for name, route in self.resources.items()}
        return Response(self.get_serializer({"resources": urls}).data)
