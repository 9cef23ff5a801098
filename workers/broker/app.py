"""Builds the ASGI application of a serving process: Falcon's router behind the request gate."""

from __future__ import annotations

import time
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response, WebSocket

from peatnode.api.failures import MEDIA_TYPE, HttpProblem, out_of_memory
from peatnode.logs import LogQuota, get_logger
from workers.broker.gate import SAFE_METHODS, RequestGate
from workers.broker.routes import ASSETS, routes
from workers.broker.services import BrokerServices

log = LogQuota(get_logger("broker"), time.monotonic)

_CODES = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}


def build_app(services: BrokerServices) -> RequestGate:
    """The application with all routes."""
    table = routes(services)
    app: Any = falcon.asgi.App(middleware=[_RouteName()])
    app.req_options.auto_parse_qs_csv = False
    app.req_options.keep_blank_qs_values = True
    # the server has a queue; messages in a second one would be lost at a close
    app.ws_options.max_receive_queue = 0
    app.add_error_handler(Exception, _answer_bug)
    app.add_error_handler(MemoryError, _answer_out_of_memory)
    app.add_error_handler(falcon.HTTPError, _answer_http_error)
    app.add_error_handler(HttpProblem, _answer_problem)
    for route in table:
        app.add_route(route.path, route.resource)
    public = frozenset(route.path for route in table if route.is_public)
    return RequestGate(
        app,
        services.store,
        services.counters,
        services.authenticator,
        services.stopping,
        public,
        ASSETS,
    )


class _RouteName:
    """Stores the template of the route in the scope, for the counters of the gate."""

    async def process_resource(
        self, request: Request, response: Response, resource: object, params: dict[str, Any]
    ) -> None:
        request.scope["peat.route"] = request.uri_template or "unmatched"


async def _answer_http_error(
    request: Request,
    response: Response | None,
    error: falcon.HTTPError,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    """Turns errors of Falcon into problems: no such route, no such method, an invalid header."""
    status = error.status_code
    detail = {
        404: f"There is nothing at {request.path}.",
        405: f"{request.path} does not support {request.method}.",
    }.get(status, error.description or error.title or "This request cannot be answered.")
    headers = tuple(dict(error.headers or {}).items())
    problem = HttpProblem(status, _CODES.get(status, "bad-request"), detail, headers=headers)
    await _answer_problem(request, response, problem, params, ws)


async def _answer_problem(
    request: Request,
    response: Response | None,
    problem: HttpProblem,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    if response is not None:
        response.status = problem.status
        response.set_headers(problem.headers)
        _fill(response, problem)
    elif ws is not None and ws.unaccepted:
        raise problem  # the gate sends it as the answer to the handshake
    elif ws is not None:
        await ws.close(1011, problem.detail[:120])


async def _answer_out_of_memory(
    request: Request,
    response: Response | None,
    error: MemoryError,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    """Ends one request: what it held is free again, and the process goes on."""
    error.__traceback__ = None  # its frames hold what did not fit
    about = (_name(request), "")
    log.error("Out of memory", about, route=request.uri_template, method=request.method)
    problem = out_of_memory(request.method not in SAFE_METHODS)
    await _answer_problem(request, response, problem, params, ws)


async def _answer_bug(
    request: Request,
    response: Response | None,
    error: Exception,
    params: dict[str, Any],
    ws: WebSocket | None = None,
) -> None:
    """A bug ends one request, not the process."""
    log.error(
        "Request failed",
        (_name(request), repr(error)[:200]),
        route=request.uri_template,
        method=request.method,
        exc_info=error,
    )
    if response is not None:
        response.status = 500
        _fill(
            response,
            HttpProblem(500, "internal", "The node failed to answer; its log has the reason."),
        )
    elif ws is not None and not ws.closed:
        await ws.close(1011, "internal error")


def _name(request: Request) -> str:
    return f"{request.method} {request.uri_template}"


def _fill(response: Response, problem: HttpProblem) -> None:
    response.content_type = MEDIA_TYPE
    response.data = problem.encode()
