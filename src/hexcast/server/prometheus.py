"""`/metrics`: the meters in the Prometheus text format, read when it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..feed import Feeds
from ..model import BUCKETS, Counters

__all__ = ["MetricsPage"]


class MetricsPage(Collector):
    """Collects one server's figures."""

    def __init__(self, feeds: Feeds, counters: Counters) -> None:
        self._feeds = feeds
        self._counters = counters
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """The page, as the text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        counters, feeds = self._counters, self._feeds
        hub = feeds.context.hub
        info = GaugeMetricFamily("hexcast_info", "Version of the server", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from self._by_way()
        yield CounterMetricFamily("hexcast_records", "Records applied", hub.records)
        yield GaugeMetricFamily("hexcast_topics", "Topics that have a value",
                                sum(1 for _ in hub.live()))  # fmt: skip
        yield GaugeMetricFamily("hexcast_held_bytes", "Bytes that can be replayed",
                                hub.retained_bytes)  # fmt: skip
        yield GaugeMetricFamily("hexcast_head", "SEQ of the newest record applied", hub.head)
        yield GaugeMetricFamily("hexcast_feeds", "Distinct selectors and wire forms",
                                len(feeds.all()))  # fmt: skip
        lagging = [s for feed in feeds.all() for s in feed.lagging]
        yield GaugeMetricFamily("hexcast_lagging_clients", "Clients behind their feed",
                                len(lagging))  # fmt: skip
        yield GaugeMetricFamily(
            "hexcast_lag_records", "Places in the log the furthest client is behind",
            max((hub.head - s.position for s in lagging), default=0),
        )  # fmt: skip
        yield GaugeMetricFamily("hexcast_connections", "Open connections", counters.connections)
        yield CounterMetricFamily("hexcast_http_requests", "Requests begun", counters.requests)
        yield CounterMetricFamily("hexcast_http_refused", "Answers of 400 and above",
                                  counters.refused)  # fmt: skip
        yield CounterMetricFamily("hexcast_received_bytes", "Bytes read", counters.received)
        total = 0
        buckets = []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), counters.latency_counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        latency = HistogramMetricFamily(
            "hexcast_publish_to_write_seconds", "From a record's application to its write"
        )
        latency.add_metric([], buckets, counters.latency_sum)
        yield latency

    def _by_way(self) -> Iterator[Metric]:
        clients = GaugeMetricFamily("hexcast_clients", "Clients connected or held",
                                    labels=["way"])  # fmt: skip
        counters = {
            name: CounterMetricFamily(f"hexcast_{name}", text, labels=["way"])
            for name, text in (
                ("requests", "Requests to receive"),
                ("deliveries", "Records written, once a client"),
                ("sent_bytes", "Bytes of events, messages and bodies written"),
                ("folds", "State changes superseded before they were written"),
                ("gaps", "Gaps told"),
            )
        }
        for way, meter in self._counters.ways.items():
            clients.add_metric([way], meter.clients)
            counters["requests"].add_metric([way], meter.requests)
            counters["deliveries"].add_metric([way], meter.deliveries)
            counters["sent_bytes"].add_metric([way], meter.sent)
            counters["folds"].add_metric([way], meter.folds)
            counters["gaps"].add_metric([way], meter.gaps)
        yield clients
        yield from counters.values()
