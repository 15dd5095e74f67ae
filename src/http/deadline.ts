import type { RequestHandler, Response } from 'express';

/** Time for the whole body of a request; longer ones are cut off, so that nobody holds a connection by trickling. */
const BODY_MS = 30_000;

/** Cuts off requests whose body is not there in time, unless their route allows a long one. */
export const limitBodyTime: RequestHandler = (request, response, next) => {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, BODY_MS).unref();
  response.locals.bodyTimer = timer;
  request.once('close', () => clearTimeout(timer));
  next();
};

/** For a route that takes large bodies and bounds them by progress itself. */
export function allowLongBody(response: Response): void {
  clearTimeout(response.locals.bodyTimer as NodeJS.Timeout);
}
