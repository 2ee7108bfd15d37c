"""The route of lists that are asked for often."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_type_hints

from fastapi import Request
from fastapi.params import Path, Query
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tocsin.api.dependencies import principal_of

_GIVEN: Final = ("services", "principal")


class ListRoute(APIRoute):
    """Takes the parameters of an address itself; one that is refused goes FastAPI's way, which says why.

    The operation blocks, takes services, principal, and parameters of path and query, and makes the response.
    FastAPI's way to find the same values costs more than to find a page of a list in the inbox.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        careful = super().get_route_handler()
        operation: Final = self.endpoint
        parameters: Final = _parameters_of(operation)

        async def answer(request: Request) -> Response:
            values = _values(parameters, request.path_params, request.query_params)
            if values is None:
                return await careful(request)
            principal = await principal_of(request)
            found: Response = await run_in_threadpool(
                operation, request.app.state.services, principal, **values
            )
            return found

        return answer


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    sent_as: str
    in_path: bool
    default: Any
    convert: Callable[[Any], Any]


def _parameters_of(operation: Callable[..., Any]) -> tuple[_Parameter, ...]:
    hints = get_type_hints(operation, include_extras=True)
    signature = inspect.signature(operation)
    return tuple(
        _parameter(name, hints[name], each.default)
        for name, each in signature.parameters.items()
        if name not in _GIVEN
    )


def _parameter(name: str, hint: Any, default: Any) -> _Parameter:
    said = next(each for each in get_args(hint) if isinstance(each, Path | Query))
    convert = TypeAdapter(hint).validate_python
    return _Parameter(name, said.alias or name, isinstance(said, Path), default, convert)


def _values(
    parameters: tuple[_Parameter, ...], path: Mapping[str, Any], query: Mapping[str, str]
) -> dict[str, Any] | None:
    """What the operation takes; None where the address has something else."""
    values = {}
    for each in parameters:
        sent = (path if each.in_path else query).get(each.sent_as)
        if sent is None and each.default is inspect.Parameter.empty:
            return None
        try:
            values[each.name] = each.default if sent is None else each.convert(sent)
        except ValidationError:
            return None
    return values
