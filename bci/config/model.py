"""What every settings model shares: frozen, no unknown key, no silent number."""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

Count = Annotated[int, Field(gt=0, le=1_000_000)]
"""How many of something; a frame carries no more ROIs."""
Whole = Annotated[int, Field(ge=0, lt=1 << 63)]
"""0 or more, as JSON of other programs holds it."""


class Settings(BaseModel):
    """Base of all settings: immutable, refuses unknown keys, refuses inf and NaN.

    The docstring of a field is its description in the JSON schema. It is read from the source when
    a schema is asked for: pydantic's `use_attribute_docstrings` reads it when a class is made, a
    third of the time that the settings took to import, in every process of a session.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for parent in cls.__mro__:
            if issubclass(parent, Settings):
                for name, text in _docstrings(parent).items():
                    properties[name].setdefault("description", text)
        return schema


@cache
def _docstrings(model: type[Settings]) -> dict[str, str]:
    """Docstring of each field that the class itself declares and describes."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in pairwise(body.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(docstring))),
            ):
                found[name] = inspect.cleandoc(docstring)
    return found
