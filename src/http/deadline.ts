import type { RequestHandler, Response } from 'express';

/** Cuts off requests whose body is not there in time, so that nobody holds a connection by trickling. */
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

/** For a route that takes large bodies and bounds them by progress itself. */
export function allowLongBody(response: Response): void {
  clearTimeout(response.locals.bodyTimer as NodeJS.Timeout);
}
