/** The storage API as express routes: blobs out, resumable uploads in, and what verifiers say about jobs. */
import { json, type Request, Router } from 'express';
import { limitRate } from '../http/rate-limit';
import { MAX_STATEMENT_BYTES } from '../protocol/storage';
import { sendBlob } from './blob-routes';
import type { StorageDeps, StorageOptions } from './deps';
import { Holders } from './holders';
import { nodeRoutes, takeSignedAddress } from './node-routes';
import { Permits } from './permits';
import { Readers } from './readers';
import { parseJobName, type StatementDeps, takeAttestation, takeEvidenceRequest } from './statements';
import { sendOffset, takeUpload } from './upload-routes';

const REQUESTS_A_MINUTE = 3000;

/** Returns the routes of `protocol/storage.ts`, to be mounted at `/api/v1`. */
export function storageRoutes(options: StorageOptions, deps: StorageDeps): Router {
  const router = Router();
  const permits = new Permits(deps.nowMs);
  const readers = new Readers(deps);
  const holders = new Holders(deps);
  router.use(
    limitRate({
      limit: REQUESTS_A_MINUTE,
      code: 'storage/too-many-requests',
      clientAddress: deps.clientAddress,
      // Pieces of a permitted upload: behind a proxy of small bodies there are many of them.
      isFree: ({ method }, { statusCode }) => method === 'PUT' && [201, 202].includes(statusCode),
    }),
  );
  router.use(takeSignedAddress);
  router.get('/blobs/:sha256', (request, response) => sendBlob({ ...deps, readers }, request, response));
  router.head('/uploads/:sha256', (request, response) => sendOffset(deps, request, response));
  router.put('/uploads/:sha256', (request, response) =>
    takeUpload(options, { ...deps, permits, holders }, request, response),
  );
  addStatements(router, deps);
  router.use(nodeRoutes(options, deps));
  return router;
}

/** Statements are small and of registered verifiers only; everybody may read them. */
function addStatements(router: Router, deps: StatementDeps): void {
  const body = json({ limit: MAX_STATEMENT_BYTES });
  const jobOf = (request: Request) => String(request.params['jobId']);
  router.put('/jobs/:jobId/attestations', body, async (request, response) => {
    response.json(await takeAttestation(deps, jobOf(request), request.body));
  });
  router.get('/jobs/:jobId/attestations', async (request, response) => {
    const attestations = await deps.attestations.list(parseJobName(jobOf(request)));
    response.set('cache-control', 'no-cache').json({ attestations });
  });
  router.put('/jobs/:jobId/evidence-requests', body, async (request, response) => {
    response.json(await takeEvidenceRequest(deps, jobOf(request), request.body));
  });
  router.get('/jobs/:jobId/evidence-requests', async (request, response) => {
    const requests = await deps.evidenceRequests.list(parseJobName(jobOf(request)));
    response.set('cache-control', 'no-cache').json({ requests });
  });
}
