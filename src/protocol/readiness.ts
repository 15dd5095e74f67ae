/** What `GET /readyz` answers: whether a daemon can do its work, check by check. */
import { z } from 'zod';

export const ReadyCheck = z.object({
  name: z.enum(['store', 'chain', 'disk', 'jobs', 'bucket']),
  ok: z.boolean(),
  detail: z.string().describe('what was found, in words that anybody may read'),
});
export type ReadyCheck = z.infer<typeof ReadyCheck>;

export const ReadyAnswer = z.object({ status: z.enum(['ready', 'not ready']), checks: z.array(ReadyCheck) });
export type ReadyAnswer = z.infer<typeof ReadyAnswer>;
