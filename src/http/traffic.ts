/** Counts what an HTTP server answers: requests by method and outcome, and the bytes of bodies. */
import { type RequestHandler, Router } from 'express';
import type { FigureGroup, Sample } from './metrics';
import type { Mount } from './mount';

const METHODS = ['GET', 'HEAD', 'PUT', 'POST'];

export interface HttpTraffic {
  /** To be mounted before the routes. */
  readonly mount: Mount;
  readonly figures: FigureGroup;
}

export function openTraffic(): HttpTraffic {
  const requests = new Map<string, Sample>();
  const bytes = { in: 0, out: 0 };
  const count: RequestHandler = (request, response, next) => {
    const method = METHODS.includes(request.method) ? request.method : 'other';
    const { socket } = request;
    const before = { read: socket.bytesRead, written: socket.bytesWritten };
    response.once('close', () => {
      const of = { method, status: `${Math.floor(response.statusCode / 100)}xx` };
      const key = `${of.method} ${of.status}`;
      requests.set(key, { of, value: (requests.get(key)?.value ?? 0) + 1 });
      bytes.in += Math.max(0, socket.bytesRead - before.read);
      bytes.out += Math.max(0, socket.bytesWritten - before.written);
    });
    next();
  };
  const router = Router();
  router.use(count);
  return {
    mount: { path: '/', router },
    figures: {
      figures: [
        { name: 'http_requests_total', help: 'Requests by method and class of status.', labels: ['method', 'status'] },
        { name: 'http_received_bytes_total', help: 'Bytes that arrived with requests.' },
        { name: 'http_sent_bytes_total', help: 'Bytes that were sent as answers.' },
      ],
      async read() {
        return {
          http_requests_total: [...requests.values()],
          http_received_bytes_total: [{ value: bytes.in }],
          http_sent_bytes_total: [{ value: bytes.out }],
        };
      },
    },
  };
}
