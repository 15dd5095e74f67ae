/** The heartbeats of many sessions on one timer, in batches: thousands of timers cost a process far more. */

/** Batches in the time of a heartbeat. */
const SLOTS = 20;

interface Beating {
  onBeat(): void;
}

/** Calls every member once in `heartbeatMs`, for the first time when that has passed since it was added. */
export class Beats {
  private readonly slots = Array.from({ length: SLOTS }, () => new Set<Beating>());
  private now = 0;
  private members = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly heartbeatMs: number) {}

  /** Returns what takes the member out again. */
  add(member: Beating): () => void {
    const slot = this.slots[this.now] as Set<Beating>;
    slot.add(member);
    this.members += 1;
    this.timer ??= setInterval(() => this.beat(), this.heartbeatMs / SLOTS);
    return () => {
      if (slot.delete(member)) this.members -= 1;
      if (this.members > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  private beat(): void {
    this.now = (this.now + 1) % SLOTS;
    for (const member of this.slots[this.now] ?? []) member.onBeat();
  }
}
