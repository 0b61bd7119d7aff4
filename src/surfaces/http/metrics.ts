import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface Metrics {
  /** Counts an answered request. `route` is the table's path pattern, so that callers can't invent time series. */
  countAnswer(method: string, route: string, status: number, seconds: number): void;
  text(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(openRequests: () => number): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "el_ipc_http_requests_total",
    help: "HTTP requests answered",
    labelNames: ["method", "route", "status"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "el_ipc_http_request_seconds",
    help: "Seconds from a request to the end of its answer, waits included",
    labelNames: ["method", "route"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30, 300],
    registers: [registry],
  });
  new Gauge({
    name: "el_ipc_http_open_requests",
    help: "Requests being answered now, waits and streams included",
    registers: [registry],
    collect() {
      this.set(openRequests());
    },
  });
  return {
    countAnswer(method, route, status, seconds) {
      requests.inc({ method, route, status });
      durations.observe({ method, route }, seconds);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
