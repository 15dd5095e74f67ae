/** The planted-cheat suite in its small form; `npm run cheats` is the whole of it. */
import { type CheatJobOutcome, runCheatJob } from '../support/cheat-job';
import { scoreCheat } from '../support/cheat-score';
import { type CheatKind, cheatPlans } from '../support/cheats';
import { testPython } from '../support/tiny-job';

const size = { workers: 3, rounds: 4 };
/** After few rounds clean jobs differ by several percent; a cheat that gets through multiplies the loss. */
const LOSS_LIMIT = 1.25;
let clean: CheatJobOutcome;

beforeAll(async () => {
  clean = await runCheatJob({ ...size, python: testPython });
});

test('nobody cheats: nobody is accused, and all audits find the same', () => {
  expect(clean).toMatchObject({ state: 'submitted', audits: { different: 0 } });
  expect(clean.audits.equal).toBeGreaterThanOrEqual(size.workers);
  expect(clean.workers.map(({ refused, refuted, dismissals }) => ({ refused, refuted, dismissals }))).toEqual(
    Array(size.workers).fill({ refused: 0, refuted: 0, dismissals: [] }),
  );
});

test.each<CheatKind>(['zeros', 'noise', 'noise inside the norm', 'no time', 'copied', 'rate 1 % off'])(
  'one of three cheats, %s: it is not paid for that, and the model is as good',
  async (kind) => {
    const job = await runCheatJob({ ...size, kind, python: testPython });
    const { shortfalls } = scoreCheat(job, clean, cheatPlans[kind], LOSS_LIMIT);
    // Shown together: whoever reads a failure wants to know what the master saw.
    expect({ shortfalls, warnings: job.warnings }).toEqual({ shortfalls: [], warnings: job.warnings });
  },
);
