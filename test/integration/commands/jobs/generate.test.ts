/** `emeth generate` with a real model and Python. */
import { join } from 'node:path';
import { runInProcess } from '../../../support/cli';
import { openTestCoordinator } from '../../../support/coordinator';
import { openScratch } from '../../../support/scratch';
import { tinyParams } from '../../../support/tiny-job';

// It starts Python four times, which takes seconds each where others compute.
jest.setTimeout(300_000);

describe('generate', () => {
  test('prompt and seed: continues the prompt, the same for the same seed', async () => {
    await using scratch = await openScratch();
    await using coordinator = await openTestCoordinator(scratch.path, tinyParams);
    const directory = join(scratch.path, 'model');
    const theta = coordinator.theta.path;
    await coordinator.child.run({ type: 'export', theta, directory, card: { title: 'test' } }, 'exported');
    const generate = (...more: string[]) =>
      runInProcess('generate', directory, '--prompt', 'Call me', '--tokens', '20', ...more);

    const first = await generate();
    expect(first).toMatchObject({ status: 0, talk: '' });
    expect(first.out.startsWith('Call me')).toBe(true);
    expect((await generate('--seed', '5')).out).not.toBe(first.out);
    expect(`${JSON.parse((await generate('--json')).out).text}\n`).toBe(first.out);
  });

  test('directory without a model: throws runner/bad-spec', async () => {
    await using scratch = await openScratch();
    const { status, talk } = await runInProcess('generate', scratch.path, '--prompt', 'x', '--json');
    expect(status).toBe(1);
    expect(JSON.parse(talk).error).toMatchObject({
      code: 'runner/bad-spec',
      message: expect.stringContaining('tokenizer.json'),
    });
  });

  test('temperature that is not a number: usage error', async () => {
    const { status, talk } = await runInProcess('generate', '.', '--temperature', 'hot');
    expect(status).toBe(2);
    expect(talk).toContain('0 to 10');
  });
});
