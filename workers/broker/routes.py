"""Which path is answered by what. A new part of the broker adds its routes to `routes`, in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.broker.documents.resources import (
    CollectionResource,
    CollectionsResource,
    DocumentResource,
)
from workers.broker.feed.resources import EventsResource, WebSocketResource
from workers.broker.metrics.resource import MetricsResource
from workers.broker.node.resources import (
    HealthResource,
    NodeResource,
    PeerResource,
    PeersResource,
    ReadyResource,
    TopologyResource,
)
from workers.broker.pages.reference import OpenApiResource, PageResource
from workers.broker.services import BrokerServices
from workers.broker.yjs.resource import YjsResource

PREFIX = "/api/v1"

ASSETS = "/assets/"
"""Below it are files of pages, which are public: they hold nothing of the mesh."""


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    resource: object
    """A Falcon resource."""
    is_public: bool = False
    """Whether it is answered without a token."""
    is_described: bool = True
    """Whether openapi.json has it; pages and their files are left out."""


Register = Callable[[BrokerServices], tuple[Route, ...]]


def api_routes(broker: BrokerServices) -> tuple[Route, ...]:
    return (
        Route(f"{PREFIX}/health", HealthResource(broker), is_public=True),
        Route(f"{PREFIX}/ready", ReadyResource(broker), is_public=True),
        Route(f"{PREFIX}/node", NodeResource(broker)),
        Route(f"{PREFIX}/peers", PeersResource(broker)),
        Route(f"{PREFIX}/peers/{{peer_id}}", PeerResource(broker)),
        Route(f"{PREFIX}/topology", TopologyResource(broker)),
        Route(f"{PREFIX}/documents", CollectionsResource(broker)),
        Route(f"{PREFIX}/documents/{{collection}}", CollectionResource(broker)),
        Route(f"{PREFIX}/documents/{{collection}}/{{doc_id}}", DocumentResource(broker)),
        Route(f"{PREFIX}/events", EventsResource(broker)),
        Route(f"{PREFIX}/ws", WebSocketResource(broker)),
        Route("/metrics", MetricsResource(broker)),
        Route("/openapi.json", OpenApiResource()),
    )


def page_routes(broker: BrokerServices) -> tuple[Route, ...]:
    return (
        Route("/", PageResource("dashboard", "index.html"), is_public=True, is_described=False),
        Route(
            f"{ASSETS}dashboard/{{name}}",
            PageResource("dashboard"),
            is_public=True,
            is_described=False,
        ),
        Route("/docs", PageResource("docs", "index.html"), is_public=True, is_described=False),
        Route(f"{ASSETS}docs/{{name}}", PageResource("docs"), is_public=True, is_described=False),
    )


def yjs_routes(broker: BrokerServices) -> tuple[Route, ...]:
    path = f"{PREFIX}/yjs/{{collection}}/{{doc_id}}"
    return (Route(path, YjsResource(broker)),)


PARTS: tuple[Register, ...] = (api_routes, yjs_routes, page_routes)
"""Every part of the broker that has routes: a function each, `register(broker) -> tuple[Route, ...]`."""


def routes(broker: BrokerServices) -> tuple[Route, ...]:
    return tuple(route for register in PARTS for route in register(broker))
