/** Trouble that passes by itself, as it is waited out and told: once when it begins, once when it ends. */
import { describeError, errorCode } from './errors';
import { sha256 } from './hash';

/** The first pause; each further one is twice as long, up to the last. */
const FIRST_MS = 1000;
const LAST_MS = 10_000;
/** A pause is shorter by up to this part, so that many who wait for one thing do not come back together. */
const SPREAD = 0.25;

/** What somebody waits for that tries again and again. */
export class Trouble {
  private code: string | undefined;
  private text: string | undefined;
  private failures = 0;
  private startedAtMs = 0;

  /** `name`: whose trouble it is; others wait pauses of other lengths. */
  constructor(private readonly name: string) {}

  /** What is in the way; undefined while nothing is. */
  get reason(): string | undefined {
    return this.text;
  }
  /** How often in a row it failed. */
  get attempts(): number {
    return this.failures;
  }

  /** Notes a failure. True when it is told: it is the first, or another than before. */
  note(error: unknown, nowMs: number): boolean {
    const code = errorCode(error);
    const isNews = this.code !== code;
    if (this.failures === 0) this.startedAtMs = nowMs;
    this.failures += 1;
    this.code = code;
    this.text = describeError(error);
    return isNews;
  }

  /** Milliseconds until the next attempt: at most ten seconds, so that nothing idles for long afterwards. */
  pauseMs(): number {
    const fullMs = Math.min(FIRST_MS * 2 ** Math.min(this.failures - 1, 10), LAST_MS);
    const draw = Number.parseInt(sha256(`${this.name} ${this.failures}`).slice(0, 8), 16) / 2 ** 32;
    return Math.round(fullMs * (1 - SPREAD * draw));
  }

  /** Milliseconds since the first failure. */
  lastedMs(nowMs: number): number {
    return this.failures === 0 ? 0 : nowMs - this.startedAtMs;
  }

  /** Ends the trouble. True when there was some. */
  end(): boolean {
    const was = this.failures > 0;
    this.failures = 0;
    this.code = undefined;
    this.text = undefined;
    return was;
  }
}
