/** When a dead Python child is replaced, and when it is not. */
import { setImmediate as turn } from 'node:timers/promises';
import { AppError } from '../../../src/lib/errors';
import { silentLogger as logger } from '../../../src/lib/logger';
import { Coordinator, type CoordinatorChild } from '../../../src/master/coordinator';
import type { TrainerEvent, TrainerSpec } from '../../../src/protocol/trainer';
import { tinyParams } from '../../support/tiny-job';

const crash = () => new AppError({ code: 'runner/child-crashed' }, 'The Python child ended.');
const inspect = { type: 'inspect', update: 'update' } as const;

/** The only answer these children have, for the caller that asks for it. */
function answerOf<T extends TrainerEvent['type']>(type: T): Extract<TrainerEvent, { type: T }> {
  const isAsked = (event: TrainerEvent): event is Extract<TrainerEvent, { type: T }> => event.type === type;
  const inspected: TrainerEvent = { type: 'inspected', id: 1, ok: true, norm: 1 };
  if (!isAsked(inspected)) throw new Error(`These children do not answer ${type}`);
  return inspected;
}

/** A coordinator whose first `deaths` children die of their first command. */
function openCoordinator(deaths: number, onChildClosed: () => void = () => undefined) {
  const children: { isOpen: boolean }[] = [];
  const specs: TrainerSpec[] = [];
  const openChild = async (spec: TrainerSpec): Promise<CoordinatorChild> => {
    specs.push({ ...spec });
    const isDoomed = children.length < deaths;
    const child = { isOpen: true };
    children.push(child);
    return {
      async run(_command, type) {
        for (let i = 0; i < 5; i++) await turn();
        if (isDoomed || !child.isOpen) throw crash();
        return answerOf(type);
      },
      async [Symbol.asyncDispose]() {
        child.isOpen = false;
        onChildClosed();
      },
    };
  };
  const options = { jobId: '0x', params: tinyParams, workDir: '', device: 'cpu', threads: 1 };
  return { children, specs, coordinator: new Coordinator(options, { logger, openChild }) };
}

describe('Coordinator', () => {
  test('child dies of two commands at once: one other does both', async () => {
    const { coordinator, children } = openCoordinator(1);
    const late = turn().then(() => coordinator.run(inspect, 'inspected'));
    const both = await Promise.all([coordinator.run(inspect, 'inspected'), late]);
    expect(both).toMatchObject([{ ok: true }, { ok: true }]);
    expect(children.map(({ isOpen }) => isOpen)).toEqual([false, true]);
    await coordinator[Symbol.asyncDispose]();
    expect(children.map(({ isOpen }) => isOpen)).toEqual([false, false]);
  });

  test('adopts other parameters: the next command gets a child that has them', async () => {
    const { coordinator, children, specs } = openCoordinator(0);
    await coordinator.run(inspect, 'inspected');
    await coordinator.adopt({ ...tinyParams });
    expect(children).toEqual([{ isOpen: true }]);
    const others = { ...tinyParams, outer: { lr: 0.7, momentum: 0.9 } };
    await coordinator.adopt(others);
    expect(children).toEqual([{ isOpen: false }]);
    await coordinator.run(inspect, 'inspected');
    expect(specs.map((spec) => 'params' in spec && spec.params)).toEqual([tinyParams, others]);
  });

  test('second child dies too: throws runner/child-crashed', async () => {
    const { coordinator, children } = openCoordinator(2);
    await expect(coordinator.run(inspect, 'inspected')).rejects.toMatchObject({ code: 'runner/child-crashed' });
    expect(children).toHaveLength(2);
  });

  test('disposed in mid-command: its child is not replaced', async () => {
    const { coordinator, children } = openCoordinator(0);
    const inspected = coordinator.run(inspect, 'inspected');
    const outcome = expect(inspected).rejects.toMatchObject({ code: 'runner/child-crashed' });
    await turn();
    await coordinator[Symbol.asyncDispose]();
    await outcome;
    expect(children.map(({ isOpen }) => isOpen)).toEqual([false]);
  });

  test('disposed while a dead child is closed: no other is started', async () => {
    const { coordinator, children } = openCoordinator(1, () => void coordinator[Symbol.asyncDispose]());
    await expect(coordinator.run(inspect, 'inspected')).rejects.toMatchObject({ code: 'job/over' });
    expect(children.map(({ isOpen }) => isOpen)).toEqual([false]);
  });

  test('command after disposal: throws job/over, starts no child', async () => {
    const { coordinator, children } = openCoordinator(0);
    await coordinator[Symbol.asyncDispose]();
    await expect(coordinator.run(inspect, 'inspected')).rejects.toMatchObject({ code: 'job/over' });
    expect(children).toEqual([]);
  });
});
