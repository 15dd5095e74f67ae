/** A job's row in thousands of orders of claims, moves and events of the chain: only along the table. */
import fc from 'fast-check';
import { Address, JobId } from '../../../src/domain/ids';
import { type ChainState, canMove, chainNext, chainStates, type JobState, jobNext } from '../../../src/domain/job';
import { openStore, type Store } from '../../../src/store/open';
import { playOrders } from '../../support/orders';
import { requestJob } from '../../support/request-job';
import { fastDir, openScratch } from '../../support/scratch';

const masters = [1, 2].map((n) => Address.parse(`0x${`${n}`.repeat(40)}`)) as [Address, Address];
const states = Object.keys(jobNext) as JobState[];

const step = fc.oneof(
  fc.record({ do: fc.constant('claim' as const), master: fc.constantFrom(...masters) }),
  fc.record({ do: fc.constant('move' as const), from: fc.constantFrom(...states), to: fc.constantFrom(...states) }),
  // Along the table as often as not, or few jobs would get far.
  fc.record({ do: fc.constant('next' as const), choice: fc.nat(3) }),
  fc.record({
    do: fc.constant('chain' as const),
    state: fc.constantFrom(...chainStates),
    node: fc.constantFrom(...masters),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

let scratch: Awaited<ReturnType<typeof openScratch>>;
let store: Store;
beforeAll(async () => {
  scratch = await openScratch(fastDir());
  store = await openStore({ kind: 'sqlite', path: scratch.file('queue.sqlite') });
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

let jobs = 0;

class Row {
  readonly id = JobId.parse(`0x${(++jobs).toString(16).padStart(32, '0')}`);
  claims = 0;

  async play(next: Step): Promise<void> {
    const { state, chainState } = await this.read();
    if (next.do === 'chain') return this.hear(chainState, next.state, next.node);
    if (next.do === 'claim') return this.claim(state, next.master);
    if (next.do === 'move') return this.move(next.from, next.to);
    const options: readonly JobState[] = jobNext[state];
    const to = options[next.choice % Math.max(1, options.length)];
    if (to !== undefined) await this.move(state, to);
  }

  private async claim(state: JobState, master: Address): Promise<void> {
    const isWon = await store.jobs.claim(this.id, master);
    if (isWon !== (state === 'queued')) throw new Error(`A claim of a ${state} job: ${isWon}`);
    if (isWon) this.claims += 1;
  }

  private async move(from: JobState, to: JobState): Promise<void> {
    if (to === 'claimed') return; // by `claim` alone
    const { state, owner } = await this.read();
    const moved = await store.jobs.move(this.id, from, to).catch((error) => error.code);
    const expected = canMove(from, to) ? from === state : 'store/forbidden-move';
    if (moved !== expected) throw new Error(`${from} → ${to} of a ${state} job: ${moved}`);
    const after = await this.read();
    if (moved === true && after.owner !== (to === 'queued' ? undefined : owner)) throw new Error('Another owner');
  }

  read() {
    return store.jobs.find(this.id).then((row) => row ?? Promise.reject(new Error('The job is gone')));
  }

  /** What the chain cannot do it does not tell. */
  private async hear(from: ChainState, state: ChainState, node: Address): Promise<void> {
    const possible: readonly ChainState[] = chainNext[from];
    if (!possible.includes(state)) return;
    await store.jobs.applyChain([{ jobId: this.id, state, ...(state === 'PROCESSING' ? { node } : {}) }]);
    const row = await this.read();
    if (row.chainState !== state) throw new Error(`${state} of the chain was not noted`);
  }
}

test('steps in any order: moves of the table alone, one owner for each claim', () =>
  playOrders(step, 14, async (steps) => {
    const row = new Row();
    const request = { requester: masters[0], dataset: 'sha256:a', params: '{}', feeWei: 1n, fuelLimit: 1n };
    await requestJob(store, { ...request, id: row.id, deadlineMs: 2 ** 42, requestedBlock: 1 });
    for (const next of steps) await row.play(next);
    const history = (await store.jobs.history(row.id)).map(({ state }) => state as JobState);
    const wrong = history.slice(1).filter((to, i) => !canMove(history[i] as JobState, to));
    if (wrong.length > 0) throw new Error(history.join(' '));
    const claimed = history.filter((state) => state === 'claimed').length;
    if (claimed !== row.claims) throw new Error(`${row.claims} claims, and ${history.join(' ')}`);
  }));
