"""The description of the service is the service: its paths, methods, fields, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from web_scene import PREFIX, Web

from ipa_tpi import wire
from ipa_tpi.flow.approvers import Chance
from ipa_tpi.model import State
from ipa_tpi.web.incoming import MAX_SEVERAL
from ipa_tpi.web.views import VIEWS

SHAPES = (
    "ApproversView",
    "BrokenRuleView",
    "CandidateView",
    "DemandView",
    "FloorView",
    "OperationList",
    "OperationView",
    "ParameterView",
    "PolicyView",
    "PreviewView",
    "Problem",
    "ProofBody",
    "RequestBody",
    "RequestList",
    "RequestView",
    "ResultView",
    "RuleList",
    "RuleView",
    "StageView",
    "VerdictView",
    "VoiceBody",
    "VoiceView",
)
OWN = {
    "Digest",
    "DigestOrNone",
    "Health",
    "Identifier",
    "Lines",
    "Moment",
    "Name",
    "Opaque",
    "Right",
    "State",
    "Text",
}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "ccache")


@pytest.fixture
def document(web: Web) -> dict[str, Any]:
    answer = web.get("/openapi.yaml")
    assert (answer.status_code, answer.content_type) == (200, "application/yaml")
    loaded: dict[str, Any] = yaml.safe_load(answer.data)
    return loaded


def test_paths_and_methods(web: Web, document: dict[str, Any]) -> None:
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in web.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert described == served
    assert all(path.startswith(PREFIX) for path, _ in described)


def test_names_and_queries(document: dict[str, Any]) -> None:
    for view in VIEWS:
        path = PREFIX + view.path.replace("<", "{").replace(">", "}")
        operation = document["paths"][path][view.method.lower()]
        assert operation["operationId"] == view.name
        assert {one["name"] for one in operation.get("parameters", [])} == view.query
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert ("requestBody" in operation) is (view.method == "POST")


@pytest.mark.parametrize("name", SHAPES)
def test_fields(document: dict[str, Any], name: str) -> None:
    schema = document["components"]["schemas"][name]
    shape = getattr(wire, name)
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    assert schema["properties"].keys() == fields.keys()
    strict = issubclass(shape, wire.Strict)
    assert schema.get("additionalProperties", True) is not strict
    omits = name == "Problem"
    expected = {field.name for field in fields.values() if field.required or not (strict or omits)}
    assert set(schema["required"]) == expected


def test_nothing_else_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["components"]["schemas"].keys() == set(SHAPES) | OWN
    assert set(document["components"]["schemas"]["State"]["enum"]) == {state.value for state in State}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in _references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_limits_are_those_of_the_wire(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Text"]["maxLength"] == wire.MAX_TEXT_CHARACTERS
    assert schemas["RequestBody"]["properties"]["parameters"]["maxProperties"] == wire.MAX_PARAMETERS
    assert str(wire.MAX_TOKEN_BYTES) in schemas["Opaque"]["description"]
    parameters = document["paths"][f"{PREFIX}/requests"]["get"]["parameters"]
    for one in document["paths"][f"{PREFIX}/policy"]["get"]["parameters"]:
        assert one["schema"].get("maxItems", MAX_SEVERAL) == MAX_SEVERAL
    (limit,) = (one["schema"] for one in parameters if one["name"] == "limit")
    assert (limit["maximum"], limit["default"]) == (wire.MAX_LISTED, wire.DEFAULT_LISTED)
    chances = schemas["CandidateView"]["properties"]["chance"]["enum"]
    assert chances == [chance.value for chance in Chance]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [one for item in value.values() for one in _references(item)]
    if isinstance(value, list):
        return [one for item in value for one in _references(item)]
    return []
