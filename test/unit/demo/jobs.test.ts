/** What the demo's jobs request: parameters that masters take, and conversations that a reader can check. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { chatJob, textJob } from '../../../src/demo/jobs';
import { JobParams } from '../../../src/protocol/job-params';
import { openScratch } from '../../support/scratch';

const root = join(__dirname, '..', '..', '..');
const openBase = async () => ({ directory: '/base' });
const reference = `sha256:${'a'.repeat(64)}`;

test('chat job: puts its base, and asks for an adapter on it', async () => {
  const ran: (readonly string[])[] = [];
  const run = async (args: readonly string[]) => {
    ran.push(args);
    return { reference };
  };
  const { dataset, params } = await chatJob({ openBase, workers: 2 }).prepare(run);
  expect(ran).toEqual([['put', '/base']]);
  expect(dataset).toBe(join(root, 'examples', 'emeth-chat.jsonl'));
  expect(JobParams.parse(params)).toMatchObject({ tune: 'lora', base: reference, epochs: 200 });
});

test('rounds named: a chat job of as many blocks as they have', async () => {
  const { params } = await chatJob({ openBase, workers: 3, rounds: 2 }).prepare(async () => ({ reference }));
  expect(JobParams.parse(params)).toMatchObject({ epochs: 40, round: { steps: 40 } }); // 2 × 3 × 40 of 6 a pass
});

test('chat job: questions on stdin, each with its answer in the sample', async () => {
  const asked: (string | undefined)[] = [];
  const run = async (args: readonly string[], input?: string) => {
    expect(args.slice(0, 4)).toEqual(['generate', '/model', '--base', '/base']);
    asked.push(input);
    return { role: 'assistant', content: ` answer ${asked.length} ` };
  };
  const sample = await chatJob({ openBase, workers: 2 }).tryModel(run, '/model');
  expect(asked[0]).toBe('What is a lease?\n');
  expect(sample.split('\n').slice(0, 2)).toEqual(['> What is a lease?', 'answer 1']);
});

test('text job without a text: Moby-Dick, twice over', async () => {
  await using scratch = await openScratch();
  const job = textJob({ dir: scratch.path, workers: 2 });
  const { dataset, params } = await job.prepare(async () => undefined);
  expect(readFileSync(dataset, 'utf8')).toMatch(/Call me Ishmael/);
  expect(JobParams.parse(params)).toMatchObject({ tune: 'none', epochs: 2 });
});

const Message = z.strictObject({ role: z.enum(['user', 'assistant']), content: z.string().min(2).max(120) });
const Chat = z.strictObject({ messages: z.array(Message).min(2) });

test('conversations that ship: turns alternate, no question twice', () => {
  const lines = readFileSync(join(root, 'examples', 'emeth-chat.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  const chats = lines.map((line) => Chat.parse(JSON.parse(line)).messages);
  expect(chats.length).toBeGreaterThan(140);
  for (const messages of chats) {
    expect(messages.map(({ role }, i) => role === (i % 2 === 0 ? 'user' : 'assistant'))).not.toContain(false);
  }
  const single = chats.filter(({ length }) => length === 2).map(([question]) => question?.content);
  expect(new Set(single).size).toBe(single.length);
});
