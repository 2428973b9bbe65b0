"""A test client that holds every response of the API to openapi.yaml."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from rest_framework.response import Response
from rest_framework.test import APIClient

OPENAPI_FILE = Path(__file__).parent.parent / "openapi.yaml"
# LibYAML reads the document ten times as fast as the loader in Python.
YAML_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PROBLEM = "#/components/schemas/Problem"
# What it costs to find the key of a request, once in each.
KEY_QUERIES = 1


class ContractClient(APIClient):
    """Fails the test that gets a response which openapi.yaml does not describe."""

    def request(self, **kwargs: Any) -> Response:
        """Send a request, and compare the response with what is written of it."""
        response = super().request(**kwargs)
        path = kwargs["PATH_INFO"]
        if path.startswith("/api/"):
            contract().check(kwargs["REQUEST_METHOD"].lower(), path, response)
        return response


@cache
def contract() -> "Contract":
    """Read openapi.yaml, once."""
    return Contract(load_document())


def load_document() -> dict[str, Any]:
    """Return the content of openapi.yaml."""
    document: dict[str, Any] = yaml.load(OPENAPI_FILE.read_text(), YAML_LOADER)
    return document


class Contract:
    """What openapi.yaml says, made strict: an answer has no member that it does not name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.paths = {
            re.compile(re.sub(r"\{\w+\}", "[^/]+", path.replace("{name}", ".+"))): path
            # An address without a parameter is not one with it.
            for path in sorted(document["paths"], key=lambda path: path.count("{"))
        }
        close(document["components"])
        resource = DRAFT202012.create_resource(document)
        self.registry = Registry().with_resource("urn:openapi", resource)

    def check(self, method: str, path: str, response: Response) -> None:
        """Raise AssertionError unless a response is the one described."""
        template = self.template_of(path)
        operation = self.document["paths"].get(template, {}).get(method)
        if operation is None:
            # No operation: what is not there, or not allowed, is answered with a problem.
            assert response.status_code in {400, 401, 404, 405}, response.content
            self.check_body(PROBLEM, response)
            return
        status = str(response.status_code)
        described = operation["responses"].get(status)
        assert described, f"{method} {template} answered with {status}, which is not described"
        place = f"#/paths/{escape(template)}/{method}/responses/{status}"
        place = described.get("$ref", place)
        described = self.resolved(described)
        for name, header in described.get("headers", {}).items():
            is_there = name in response.headers or not self.resolved(header).get("required")
            assert is_there, f"{method} {template} has no header {name}"
        if "content" not in described:
            assert not response.content, f"{method} {template} answered with a body"
            return
        media_type = response.headers["Content-Type"]
        assert media_type in described["content"], f"{media_type} is not described"
        self.check_body(f"{place}/content/{escape(media_type)}/schema", response, media_type)

    def template_of(self, path: str) -> str:
        """Return the path of the document that takes an address, with or without the slash."""
        path = path if path.endswith("/") else f"{path}/"
        return next((self.paths[known] for known in self.paths if known.fullmatch(path)), "")

    def resolved(self, description: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference to a component, if it is one."""
        if "$ref" not in description:
            return description
        *_, kind, name = description["$ref"].split("/")
        component: dict[str, Any] = self.document["components"][kind][name]
        return component

    def check_body(self, place: str, response: Response, media_type: str = "") -> None:
        """Raise AssertionError unless the body is as the schema at this place says."""
        is_yaml = media_type == "application/yaml"
        body = yaml.safe_load(response.content) if is_yaml else response.json()
        errors = self.errors_of(body, place)
        assert not errors, errors

    def errors_of(self, value: object, place: str) -> list[str]:
        """Say what a value has that the schema at this place does not allow."""
        validator = Draft202012Validator(
            {"$ref": f"urn:openapi{place}"},
            registry=self.registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def escape(name: str) -> str:
    """Write a name as a token of a JSON pointer, in a URL's fragment."""
    name = name.replace("~", "~0").replace("/", "~1")
    return name.replace("{", "%7B").replace("}", "%7D")


def close(schema: Any) -> None:
    """Forbid, in place, the members that an object's schema does not name."""
    if isinstance(schema, list):
        for item in schema:
            close(item)
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema.get("type"), str):
            schema.setdefault("unevaluatedProperties", "additionalProperties" in schema)
        for item in schema.values():
            close(item)
