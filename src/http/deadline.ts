/** The time limit for the body of a request, and how a route lifts it. */
import type { RequestHandler, Response } from 'express';

/** Cuts off requests whose body does not arrive in time, so that a slow sender cannot hold a connection. */
export function limitBodyTime(bodyMs: number): RequestHandler {
  return (request, response, next) => {
    const timer = setTimeout(() => {
      if (!request.complete) request.destroy();
    }, bodyMs).unref();
    response.locals.bodyTimer = timer;
    request.once('close', () => clearTimeout(timer));
    next();
  };
}

/** Lifts the limit, for a route that takes large bodies and watches their progress itself. */
export function allowLongBody(response: Response): void {
  clearTimeout(response.locals.bodyTimer as NodeJS.Timeout);
}
