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
PROBLEM_TYPE = "application/problem+json"
# What it costs to find the key of a request, once in each.
KEY_QUERIES = 1


class ContractClient(APIClient):
    """Fails the test that gets a response which openapi.yaml does not describe."""

    def request(self, **kwargs: Any) -> Response:
        """Send a request, and compare the response with its description."""
        response = super().request(**kwargs)
        path = kwargs["PATH_INFO"]
        if path.startswith("/api/"):
            is_dry_run = "dry_run=true" in kwargs.get("QUERY_STRING", "")
            method = kwargs["REQUEST_METHOD"].lower()
            contract().check(method, path, response, is_dry_run=is_dry_run)
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
    """openapi.yaml, made strict: a response has no member that its schema does not name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.paths = {
            re.compile(re.sub(r"\{\w+\}", "[^/]+", path.replace("{name}", ".+")), re.DOTALL): path
            # A path without a parameter goes before one whose parameter would match it.
            for path in sorted(document["paths"], key=lambda path: path.count("{"))
        }
        for schema in document["components"]["schemas"].values():
            close(schema, is_part=True)
        for group in (
            document["paths"],
            document["webhooks"],
            document["components"]["responses"],
        ):
            close(group)
        resource = DRAFT202012.create_resource(document)
        self.registry = Registry().with_resource("urn:openapi", resource)

    def check(
        self, method: str, path: str, response: Response, *, is_dry_run: bool = False
    ) -> None:
        """Raise AssertionError unless a response is as described."""
        template = self.template_of(path)
        operation = self.document["paths"].get(template, {}).get(method)
        if operation is None:
            # No operation: an unknown address or method is answered with a problem.
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
        if media_type == PROBLEM_TYPE:
            code, codes = response.json()["code"], described["content"][media_type]["examples"]
            assert code in codes, f"{method} {template}: {code!r} is not one of {', '.join(codes)}"
        if self.has_slots(described["content"][media_type]["schema"]):
            has_slots = "upcoming" in response.json()
            assert has_slots is is_dry_run, f"{method} {template}: upcoming is for dry runs only"

    def template_of(self, path: str) -> str:
        """Return the path of the document that matches an address, with or without the slash."""
        path = path if path.endswith("/") else f"{path}/"
        return next((self.paths[known] for known in self.paths if known.fullmatch(path)), "")

    def resolved(self, description: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference to a component, if it is one."""
        if "$ref" not in description:
            return description
        *_, kind, name = description["$ref"].split("/")
        component: dict[str, Any] = self.document["components"][kind][name]
        return component

    def has_slots(self, schema: dict[str, Any]) -> bool:
        """Return whether a body may have the slots of a dry run."""
        schema = self.resolved(schema)
        is_optional = "upcoming" not in schema.get("required", ())
        return ("upcoming" in schema.get("properties", {}) and is_optional) or any(
            self.has_slots(part) for part in schema.get("allOf", schema.get("anyOf", ()))
        )

    def check_body(self, place: str, response: Response, media_type: str = "") -> None:
        """Raise AssertionError unless the body fits the schema at this place."""
        is_yaml = media_type == "application/yaml"
        body = yaml.safe_load(response.content) if is_yaml else response.json()
        errors = self.errors_of(body, place)
        assert not errors, errors

    def errors_of(self, value: object, place: str) -> list[str]:
        """Return the reasons why a value does not fit the schema at this place."""
        validator = Draft202012Validator(
            {"$ref": f"urn:openapi{place}", "unevaluatedProperties": False},
            registry=self.registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def escape(name: str) -> str:
    """Write a name as a token of a JSON pointer, in a URL's fragment."""
    name = name.replace("~", "~0").replace("/", "~1")
    return name.replace("{", "%7B").replace("}", "%7D")


def close(node: Any, *, is_part: bool = False) -> None:
    """Forbid, in place, the members that an object's schema does not name.

    A component is closed where it is referred to, unless that is a part of an `allOf`: the other
    parts name further members.
    """
    if isinstance(node, list):
        for item in node:
            close(item, is_part=is_part)
    if isinstance(node, dict):
        has_members = "properties" in node and isinstance(node.get("type"), str)
        is_component = str(node.get("$ref", "")).startswith("#/components/schemas/")
        if (has_members or is_component) and not is_part:
            node.setdefault("unevaluatedProperties", "additionalProperties" in node)
        for name, item in node.items():
            close(item, is_part=name == "allOf")
