/** `GET /metrics`: figures of a daemon for Prometheus, for those alone who may see them. */
import { Router } from 'express';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { AppError } from '../lib/errors';
import type { ClientAddress } from './client-address';
import type { Mount } from './mount';

/** A group of figures that one question answers; each label has few values, whatever strangers do. */
export interface FigureGroup {
  readonly figures: readonly Figure[];
  /** Returns the values by the names of the figures. */
  read(): Promise<Readonly<Record<string, readonly Sample[]>>>;
}

/** In base units: the name ends in `_bytes` or `_seconds`, and that of what only grows in `_total`. */
export interface Figure {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[] | undefined;
}

export interface Sample {
  /** The values of the figure's labels. */
  readonly of?: Readonly<Record<string, string>> | undefined;
  readonly value: number;
}

interface MetricsAccess {
  clientAddress: ClientAddress;
  isAllowedIp(ip: string): boolean;
}

export type MetricsError = { code: 'metrics/not-allowed'; status: 403; ip: string };

const PREFIX = 'emeth_';

/** Serves the groups, and what Node.js tells of the process. */
export function metricsMount(groups: readonly FigureGroup[], { clientAddress, isAllowedIp }: MetricsAccess): Mount {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const group of groups) register(group, registry);
  const router = Router();
  router.get('/', async (request, response) => {
    const ip = clientAddress(request);
    if (!isAllowedIp(ip)) throw notAllowed(ip);
    response.type(registry.contentType).send(await registry.metrics());
  });
  return { path: '/metrics', router };
}

/** One question serves all figures of a group that are collected together. */
function register(group: FigureGroup, registry: Registry): void {
  let asked: ReturnType<FigureGroup['read']> | undefined;
  const ask = () => {
    asked ??= group.read().finally(() => setImmediate(() => (asked = undefined)));
    return asked;
  };
  for (const { name, help, labels = [] } of group.figures) {
    const options = { name: `${PREFIX}${name}`, help, labelNames: [...labels], registers: [registry] };
    const set = async (write: (of: Record<string, string>, value: number) => void) => {
      for (const { of = {}, value } of (await ask())[name] ?? []) write(of, value);
    };
    // What only grows is counted where it happens; here it is only told.
    if (name.endsWith('_total')) {
      new Counter({
        ...options,
        async collect() {
          this.reset();
          await set((of, value) => this.inc(of, value));
        },
      });
    } else {
      new Gauge({
        ...options,
        async collect() {
          this.reset();
          await set((of, value) => this.set(of, value));
        },
      });
    }
  }
}

function notAllowed(ip: string): AppError<MetricsError> {
  return new AppError(
    { code: 'metrics/not-allowed', status: 403, ip },
    'The metrics are not for this address; the operator can add it to metrics_whitelist.',
  );
}
