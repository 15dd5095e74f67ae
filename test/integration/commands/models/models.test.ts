/** Commands that use a trained model: `emeth generate`, `export` and `eval`, with a real one and Python. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtCli, runInProcess } from '../../../support/cli';
import { openTestCoordinator } from '../../../support/coordinator';
import { openScratch } from '../../../support/scratch';
import { tinyParams } from '../../../support/tiny-job';

// Each starts Python with PyTorch and transformers, which takes seconds where others compute.
jest.setTimeout(300_000);

let scratch: Awaited<ReturnType<typeof openScratch>>;
let directory: string;

beforeAll(async () => {
  scratch = await openScratch();
  directory = join(scratch.path, 'model');
  await using coordinator = await openTestCoordinator(join(scratch.path, 'job'), tinyParams);
  const command = { type: 'export' as const, theta: coordinator.theta.path, directory, card: {}, curve: [] };
  await coordinator.child.run(command, 'exported');
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe('generate', () => {
  test('prompt that looks like a path: is continued, and streamed to the same text', async () => {
    // A file of that name exists; what is asked is still its name.
    const prompt = join(directory, 'README.md');
    const generate = (...more: string[]) =>
      runInProcess('generate', directory, '--prompt', prompt, '--max-tokens', '20', ...more);
    const first = await generate();
    expect(first).toMatchObject({ status: 0, talk: '' });
    expect(first.out.startsWith(prompt)).toBe(true);
    expect((await generate('--stream')).out).toBe(first.out);
    const { text } = JSON.parse((await generate('--json', '--seed', '5')).out);
    expect(text.startsWith(prompt)).toBe(true);
    expect(`${text}\n`).not.toBe(first.out);
  });

  test('conversation from a pipe: an answer for each line, all before it are remembered', async () => {
    const template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}";
    await writeFile(join(directory, 'chat_template.jinja'), template);
    const args = [builtCli(), 'generate', directory, '--chat', '--json', '--max-tokens', '9'];
    const child = execFile(process.execPath, args, { cwd: scratch.path });
    let out = '';
    child.stdout?.on('data', (data) => {
      out += data;
    });
    child.stdin?.end('Call me\n\nIshmael\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
    const answers = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toEqual([
      { role: 'assistant', content: expect.any(String) },
      { role: 'assistant', content: expect.any(String) },
    ]);
  });

  test('interrupted while it writes: ends with status 130 and leaves no process', async () => {
    const args = [builtCli(), 'generate', directory, '--stream', '--max-tokens', '1000000'];
    const child = execFile(process.execPath, args, { cwd: scratch.path });
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
  });

  test('directory without a model: usage error', async () => {
    const { status, talk } = await runInProcess('generate', scratch.path, '--prompt', 'x', '--json');
    expect(status).toBe(2);
    expect(JSON.parse(talk).error).toMatchObject({ code: 'usage/no-model' });
  });

  test('odd temperature or device, prompt with --chat: usage errors', async () => {
    const hot = await runInProcess('generate', '.', '--temperature', 'hot');
    expect(hot).toMatchObject({ status: 2, talk: expect.stringContaining('0 to 10') });
    const nowhere = await runInProcess('eval', '.', '--device', 'gpu');
    expect(nowhere).toMatchObject({ status: 2, talk: expect.stringContaining('cpu, cuda or cuda:n') });
    const both = await runInProcess('generate', '.', '--chat', '--prompt', 'x');
    expect(both).toMatchObject({ status: 2, talk: expect.stringContaining('--prompt') });
  });
});

describe('export', () => {
  test('GGUF: one file appears, and is never overwritten', async () => {
    const out = join(scratch.path, 'out', 'model.gguf');
    const args = ['export', directory, '--gguf', '--quant', 'f16', '--out', out];
    const { status, out: printed } = await runInProcess(...args, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(printed)).toMatchObject({ file: out, architecture: 'gpt2', quant: 'f16' });
    expect((await readFile(out)).subarray(0, 4).toString()).toBe('GGUF');
    expect(await runInProcess(...args)).toMatchObject({ status: 2, talk: expect.stringContaining('left as it is') });
  });
});

describe('eval', () => {
  test('text: loss, perplexity and bits per byte', async () => {
    const data = join(scratch.path, 'text');
    await writeFile(data, 'Call me Ishmael. Some years ago, never mind how long precisely.\n'.repeat(9));
    const { status, out, talk } = await runInProcess('eval', directory, '--data', data, '--format', 'text', '--json');
    expect(talk).toBe('');
    expect(status).toBe(0);
    const { loss, perplexity, bitsPerByte, ...facts } = JSON.parse(out);
    expect(facts).toEqual({ tokens: expect.any(Number), texts: 1, onAnswers: false });
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(bitsPerByte).toBeCloseTo(loss / Math.LN2, 6);
  });

  test('neither data nor task: usage error', async () => {
    expect(await runInProcess('eval', directory)).toMatchObject({ status: 2 });
  });

  test('task without lm-eval: says how to install it', async () => {
    const { status, talk } = await runInProcess('eval', directory, '--lm-eval', 'hellaswag');
    expect(status).toBe(1);
    expect(talk).toContain('-m pip install lm-eval');
  });
});
