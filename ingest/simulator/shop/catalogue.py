"""Every single path of all routes as columns, which requests point into."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

from ingest.simulator.shop.routes import ROUTES

if TYPE_CHECKING:
    from ingest.simulator.shop.routes import Route


class Catalogue:
    """All paths of all routes as columns; a request is an index into them.

    ``text`` is the path as the router logs it (percent-decoded), ``raw`` as nginx does. The
    paths of a route lie side by side.
    """

    def __init__(self) -> None:
        counts = np.array([len(route.paths) for route in ROUTES])
        self.first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        self.count = counts
        self.route = np.repeat(np.arange(len(ROUTES)), counts)
        self.raw = [path for route in ROUTES for path in route.paths]
        self.text = [_decoded(path) for path in self.raw]
        self.size = np.concatenate([_sizes(route) for route in ROUTES]).astype(np.int64)
        self.methods = [ROUTES[route].method for route in self.route.tolist()]
        self.types = [ROUTES[route].content_type for route in self.route.tolist()]

    def paths(self, template: str, method: str = "GET") -> np.ndarray:
        """Indices of a route's paths. KeyError if there is no such route."""
        for number, route in enumerate(ROUTES):
            if (route.template, route.method) == (template, method):
                return np.arange(self.count[number]) + int(self.first[number])
        raise KeyError(template)


def _sizes(route: Route) -> np.ndarray:
    return np.array(route.sizes or (-1,) * len(route.paths))


def _decoded(path: str) -> str:
    """Router 2.0 logs the path decoded; whether it decodes the query, too, is unknown, so it stays."""
    place, mark, query = path.partition("?")
    return unquote(place) + mark + query
