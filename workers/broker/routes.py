"""The routes: which resource answers which path."""

from __future__ import annotations

from dataclasses import dataclass

from workers.broker.documents.bulk import BulkWrites
from workers.broker.documents.conflicts import ConflictResource, ConflictsResource
from workers.broker.documents.deleted import (
    DeletedCollectionsResource,
    DeletedDocumentResource,
    DeletedResource,
    UndeleteResource,
)
from workers.broker.documents.export import CollectionExport
from workers.broker.documents.listing import CollectionListing
from workers.broker.documents.pages import CollectionReader
from workers.broker.documents.quarantine import (
    AcceptResource,
    QuarantinedResource,
    QuarantineResource,
)
from workers.broker.documents.resources import (
    CollectionResource,
    CollectionsResource,
    DocumentResource,
)
from workers.broker.documents.watch import CollectionWatch
from workers.broker.feed.resources import EventsResource, WebSocketResource
from workers.broker.metrics.resource import MetricsResource
from workers.broker.node.resources import (
    DeletionPauseResource,
    HealthResource,
    NodeResource,
    PeerBlockResource,
    PeerLogResource,
    PeerResource,
    PeersResource,
    ReadyResource,
    TopologyResource,
)
from workers.broker.openapi.resource import OpenApiResource
from workers.broker.pages.resource import PageResource
from workers.broker.services import BrokerServices
from workers.broker.yjs.resource import YjsResource

PREFIX = "/api/v1"

ASSETS = "/assets/"
"""The path of the files of the web pages. They are public: they contain no data of the mesh."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path and the resource that answers it."""

    path: str
    resource: object
    """A Falcon resource."""
    is_public: bool = False
    """Whether it needs no token."""
    is_described: bool = True
    """Whether openapi.json describes it. Pages and their files are not described."""


def routes(services: BrokerServices) -> tuple[Route, ...]:
    return (
        *node_routes(services),
        *document_routes(services),
        *feed_routes(services),
        *page_routes(),
    )


def node_routes(services: BrokerServices) -> tuple[Route, ...]:
    node_id, supervisor, sync = services.node_id, services.supervisor, services.sync
    survey, stopping = services.survey, services.stopping
    metrics = MetricsResource(
        services.workers,
        survey,
        services.feed,
        services.rooms.awareness.presence,
        services.counters,
        services.stopping,
    )
    ready = ReadyResource(node_id, survey, stopping, services.authenticator)
    return (
        Route(f"{PREFIX}/health", HealthResource(node_id), is_public=True),
        Route(f"{PREFIX}/ready", ready, is_public=True),
        Route(f"{PREFIX}/node", NodeResource(supervisor, survey)),
        Route(f"{PREFIX}/peers", PeersResource(sync)),
        Route(f"{PREFIX}/peers/{{peer_id}}", PeerResource(sync)),
        Route(f"{PREFIX}/peers/{{peer_id}}/block", PeerBlockResource(sync)),
        Route(f"{PREFIX}/peers/{{peer_id}}/deletion-pause", DeletionPauseResource(sync)),
        Route(f"{PREFIX}/peer-log", PeerLogResource(sync)),
        Route(f"{PREFIX}/topology", TopologyResource(supervisor, sync)),
        Route("/metrics", metrics),
        Route("/openapi.json", OpenApiResource()),
    )


def document_routes(services: BrokerServices) -> tuple[Route, ...]:
    store, writer, limits = services.store, services.writer, services.limits
    names = services.feed.names
    reader = CollectionReader(store, limits)
    listing = CollectionListing(
        reader, CollectionExport(store, reader), CollectionWatch(reader, services.feed), limits
    )
    collection = CollectionResource(listing, BulkWrites(writer, limits), writer, limits)
    document = DocumentResource(store, writer, limits)
    return (
        Route(f"{PREFIX}/documents", CollectionsResource(store, limits)),
        Route(f"{PREFIX}/documents/{{collection}}", collection),
        Route(f"{PREFIX}/documents/{{collection}}/{{doc_id}}", document),
        Route(f"{PREFIX}/deleted", DeletedCollectionsResource(store, limits)),
        Route(f"{PREFIX}/deleted/{{collection}}", DeletedResource(store, names, limits)),
        Route(f"{PREFIX}/deleted/{{collection}}/{{doc_id}}", DeletedDocumentResource(store, names)),
        Route(f"{PREFIX}/deleted/{{collection}}/{{doc_id}}/undelete", UndeleteResource(writer)),
        Route(f"{PREFIX}/conflicts", ConflictsResource(store, names)),
        Route(f"{PREFIX}/conflicts/{{conflict_id}}", ConflictResource(store, names)),
        Route(f"{PREFIX}/quarantine", QuarantineResource(store, names)),
        Route(f"{PREFIX}/quarantine/{{entry_id}}", QuarantinedResource(store)),
        Route(f"{PREFIX}/quarantine/{{entry_id}}/accept", AcceptResource(store)),
        Route(f"{PREFIX}/yjs/{{collection}}/{{doc_id}}", YjsResource(store, services.rooms)),
    )


def feed_routes(services: BrokerServices) -> tuple[Route, ...]:
    return (
        Route(f"{PREFIX}/events", EventsResource(services.feed)),
        Route(f"{PREFIX}/ws", WebSocketResource(services.feed)),
    )


def page_routes() -> tuple[Route, ...]:
    """The dashboard at `/`, the reference of the API at `/docs`, and the files of both."""
    return (
        _page("/", "dashboard", "index.html"),
        _page(f"{ASSETS}dashboard/{{name}}", "dashboard"),
        _page("/docs", "docs", "index.html"),
        _page(f"{ASSETS}docs/{{name}}", "docs"),
    )


def _page(path: str, folder: str, page: str = "") -> Route:
    return Route(path, PageResource(folder, page), is_public=True, is_described=False)
