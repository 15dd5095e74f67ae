/** What goes wrong at the ports of a master under test, and how often each port was used. */
import { setMaxListeners } from 'node:events';
import { AppError } from '../../src/lib/errors';

/** Stands in for one call of a port; `proceed` is the call itself. */
export type Fault = (proceed: () => unknown) => unknown;

/** Calls for a value, not for an effect: these never fail, not even for a master that was killed. */
const VALUES = new Set(['now', 'path', 'payoutRoot']);

const forever = () => new Promise<never>(() => undefined);

/** The faults planned for named calls (`chain.submit`), in order. They outlive a restart of the master. */
export class Faults {
  /** Every call so far, by name, in order. */
  readonly calls: string[] = [];
  /** Hears of every call before it goes on, with its number. */
  onCall: (count: number) => void = () => undefined;
  /** What is away for now: every call fails whose name begins so. */
  away: readonly string[] = [];
  private readonly planned = new Map<string, { after: number; times: number; fault: Fault }[]>();

  /** Meets the next `times` calls, after the first `after`, with a fault. */
  plan(call: string, fault: Fault, { times = 1, after = 0 }: { times?: number; after?: number } = {}): void {
    this.planned.set(call, [...(this.planned.get(call) ?? []), { after, times, fault }]);
  }

  count(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  /** The fault that meets this call, if any. */
  take(call: string): Fault | undefined {
    this.onCall(this.calls.push(call));
    if (this.away.some((beginning) => call.startsWith(beginning))) {
      return () => Promise.reject(new AppError({ code: 'test/away' }, `${call} is away.`));
    }
    const entry = this.planned.get(call)?.find(({ times }) => times > 0);
    if (!entry) return undefined;
    if (entry.after > 0) {
      entry.after -= 1;
      return undefined;
    }
    entry.times -= 1;
    return entry.fault;
  }
}

/**
 * One process of the master, from its start to its end. Once killed, none of its calls is answered or has an
 * effect any more: its code stops where it stands, as after `kill -9`.
 */
export class Lifetime {
  private readonly death = new AbortController();

  constructor(private readonly faults: Faults) {
    // Every child of the process ends with it.
    setMaxListeners(0, this.death.signal);
  }

  get isOver(): boolean {
    return this.death.signal.aborted;
  }

  /** Aborts when the process is killed. */
  get signal(): AbortSignal {
    return this.death.signal;
  }

  kill(): void {
    this.death.abort(new Error('The master was killed.'));
  }

  /** The same port, through which this process alone goes. */
  guard<T extends object>(name: string, port: T): T {
    return new Proxy(port, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== 'function' || typeof key === 'symbol' || VALUES.has(key)) {
          return typeof member === 'function' ? member.bind(target) : member;
        }
        return (...args: unknown[]) => this.call(`${name}.${key}`, () => Reflect.apply(member, target, args));
      },
    });
  }

  /** One call of a port, under the name by which faults are planned for it. */
  call(name: string, proceed: () => unknown): unknown {
    if (this.isOver) return forever();
    const fault = this.faults.take(name);
    if (this.isOver) return forever();
    const outcome = fault ? Promise.resolve().then(() => fault(proceed)) : proceed();
    if (!isPromise(outcome)) return outcome;
    return outcome.then(
      (value) => (this.isOver ? forever() : value),
      (error) => (this.isOver ? forever() : Promise.reject(error)),
    );
  }
}

/** Not by its class: Node's own modules have another `Promise` than a test. */
function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
