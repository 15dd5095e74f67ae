/** What a server serves, as a list: a feature with routes adds one entry to its role's list. */
import { type Express, Router } from 'express';
import { version } from '../lib/version';
import type { ReadyAnswer, ReadyCheck } from '../protocol/readiness';

export interface Mount {
  readonly path: string;
  readonly router: Router;
}

/** Mounts the routers in the order of the list; of several with one path the first that answers wins. */
export function mountAll(app: Express, mounts: readonly Mount[]): void {
  for (const { path, router } of mounts) app.use(path, router);
}

/** Answers plain requests at a path of WebSockets: a proxy has taken their Upgrade headers away. */
export function upgradeMount(path: string, answer: { code: string; reason: string }): Mount {
  const router = Router();
  router.get('/', (_request, response) => {
    response.status(426).set('upgrade', 'websocket').json(answer);
  });
  return { path, router };
}

/** `GET /readyz`: what the checks found, with 503 when one of them failed. */
export function readyMount(check: () => Promise<ReadyCheck[]>): Mount {
  const router = Router();
  router.get('/', async (_request, response) => {
    const checks = await check();
    const isReady = checks.every(({ ok }) => ok);
    const answer: ReadyAnswer = { status: isReady ? 'ready' : 'not ready', checks };
    response.status(isReady ? 200 : 503).json(answer);
  });
  return { path: '/readyz', router };
}

/** `GET /healthz`: the process lives, its version, and the facts about it. */
export function healthMount(facts: Readonly<Record<string, unknown>>): Mount {
  const router = Router();
  router.get('/', (_request, response) => {
    response.json({ status: 'ok', version, ...facts });
  });
  return { path: '/healthz', router };
}
