"""Validates documents against the JSON Schemas (2020-12) of docs/schemas: the keywords that those use, and no others.

"appimage-orch/NAME/1", the "schema" of a document, is docs/schemas/NAME-1.schema.json. A keyword that is not known is an
error, so that a schema cannot promise what is not checked.
"""

import functools
import json
import re
from pathlib import Path

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/schemas"
ANNOTATIONS = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "default"}
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


def same(a, b):
    """Equality of JSON values: unlike Python's, true is not 1."""
    return type(a) is type(b) and a == b


def problems(value, schema, root=None, place="$"):
    """Yields "PLACE: what is wrong"; nothing for a valid value."""
    root = schema if root is None else root
    if schema is True:
        return
    if schema is False:
        yield f"{place}: is not allowed"
        return
    for keyword, argument in schema.items():
        if keyword in ANNOTATIONS or keyword in ("then", "else"):
            continue
        check = CHECKS.get(keyword)
        if check is None:
            raise ValueError(f"the schema keyword '{keyword}' is not known here")
        yield from check(value, argument, schema, root, place)


def check_ref(value, argument, _schema, root, place):
    target = root
    if not argument.startswith("#/"):
        raise ValueError(f"only references within a document are known, not {argument!r}")
    for part in argument[2:].split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    yield from problems(value, target, root, place)


def check_type(value, argument, _schema, _root, place):
    names = argument if isinstance(argument, list) else [argument]
    if not any(TYPES[name](value) for name in names):
        yield f"{place}: expected {' or '.join(names)}, found {json.dumps(value)[:60]}"


def check_properties(value, argument, _schema, root, place):
    if isinstance(value, dict):
        for name, inner in argument.items():
            if name in value:
                yield from problems(value[name], inner, root, f"{place}.{name}")


def check_additional(value, argument, schema, root, place):
    if isinstance(value, dict):
        for name in value:
            patterns = schema.get("patternProperties", {})
            if name not in schema.get("properties", {}) and not any(re.search(p, name) for p in patterns):
                yield from problems(value[name], argument, root, f"{place}.{name}")


def check_pattern_properties(value, argument, _schema, root, place):
    if isinstance(value, dict):
        for pattern, inner in argument.items():
            for name in value:
                if re.search(pattern, name):
                    yield from problems(value[name], inner, root, f"{place}.{name}")


def check_required(value, argument, _schema, _root, place):
    if isinstance(value, dict):
        for name in argument:
            if name not in value:
                yield f"{place}: '{name}' is missing"


def check_items(value, argument, _schema, root, place):
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, argument, root, f"{place}[{index}]")


def check_enum(value, argument, _schema, _root, place):
    if not any(same(value, item) for item in argument):
        yield f"{place}: {json.dumps(value)[:60]} is none of {json.dumps(argument)}"


def check_pattern(value, argument, _schema, _root, place):
    if isinstance(value, str) and not re.search(argument, value):
        yield f"{place}: {value[:60]!r} does not match {argument!r}"


def check_some_of(wanted):
    def check(value, argument, _schema, root, place):
        failures = [list(problems(value, inner, root, place)) for inner in argument]
        good = sum(1 for failure in failures if not failure)
        if not wanted(good, len(argument)):
            yield f"{place}: fits {good} of {len(argument)} alternatives: {failures}"
    return check


def check_bound(holds, word):
    def check(value, argument, _schema, _root, place):
        if TYPES["number"](value) and not holds(value, argument):
            yield f"{place}: {value} is {word} {argument}"
    return check


def check_size(kind, holds, word):
    def check(value, argument, _schema, _root, place):
        if isinstance(value, kind) and not holds(len(value), argument):
            yield f"{place}: has {len(value)} elements, {word} {argument}"
    return check


CHECKS = {
    "$ref": check_ref,
    "type": check_type,
    "properties": check_properties,
    "additionalProperties": check_additional,
    "patternProperties": check_pattern_properties,
    "required": check_required,
    "items": check_items,
    "enum": check_enum,
    "const": lambda value, argument, schema, root, place: check_enum(value, [argument], schema, root, place),
    "pattern": check_pattern,
    "anyOf": check_some_of(lambda good, _all: good >= 1),
    "oneOf": check_some_of(lambda good, _all: good == 1),
    "allOf": check_some_of(lambda good, all_: good == all_),
    "minimum": check_bound(lambda v, bound: v >= bound, "below"),
    "maximum": check_bound(lambda v, bound: v <= bound, "above"),
    "minItems": check_size(list, lambda n, bound: n >= bound, "fewer than"),
    "maxItems": check_size(list, lambda n, bound: n <= bound, "more than"),
    "minLength": check_size(str, lambda n, bound: n >= bound, "fewer than"),
}


@functools.lru_cache(None)
def schema_of(name):
    """The JSON Schema of "appimage-orch/NAME/VERSION"; None where there is none."""
    found = re.fullmatch(r"appimage-orch/([a-z-]+)/([0-9]+)", name) if isinstance(name, str) else None
    path = SCHEMAS / f"{found[1]}-{found[2]}.schema.json" if found else None
    return json.loads(path.read_text()) if path is not None and path.exists() else None


def embedded(value, place):
    """(place, document) of the documents that are parts of this one, not of those in them. Manifests leave out their files there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, dict) and str(inner.get("schema")).startswith("appimage-orch/"):
            left_out = {"files": []} if inner["schema"] == "appimage-orch/image-manifest/1" else {}
            yield f"{place}.{key}", {**left_out, **inner}
        else:
            yield from embedded(inner, f"{place}.{key}")


def check_document(document, name=None):
    """Problems of a document, held against the schema that it names (which has to be `name`, if given), and of the documents
    that are parts of it."""
    found = document.get("schema") if isinstance(document, dict) else None
    schema = schema_of(found)
    if schema is None:
        return [f"$.schema: {json.dumps(found)} is no schema of docs/schemas"]
    if name is not None and found != f"appimage-orch/{name}/1":
        return [f"$.schema: expected {name}, found {found}"]
    out = list(problems(document, schema))
    for place, inner in embedded(document, "$"):
        out += [f"{place}: {problem}" for problem in check_document(inner)]
    return out
