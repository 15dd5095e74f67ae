/** How many requests a minute one client may make of a public API. */
import type { Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { ClientAddress } from './client-address';

export interface RateLimit {
  limit: number;
  /** The error code of the refusal. */
  code: string;
  clientAddress: ClientAddress;
  /** Requests that do not count once they were answered. */
  isFree?: (request: Request, response: Response) => boolean;
}

/** Refuses requests above the limit with 429. Neighbours in IPv6 count as one client. */
export function limitRate({ limit, code, clientAddress, isFree = () => false }: RateLimit): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: (request) => ipKeyGenerator(clientAddress(request)),
    skipSuccessfulRequests: true,
    requestWasSuccessful: isFree,
    message: { error: { code, message: 'Too many requests; wait a minute.' } },
  });
}
