/** Where a box stands among several: the address and the interface that lead to the first. */
import { findPlace } from '../../../src/worker/team';

test('first box is this one: its own address and the interface that has it', async () => {
  const place = await findPlace({ boxes: 2, rank: 0, rendezvous: '127.0.0.1:29400' });
  expect(place).toEqual({
    boxes: 2,
    rank: 0,
    address: '127.0.0.1',
    port: 29400,
    interface: expect.stringMatching(/^lo/),
  });
});

test('name of a host: its address, as children look up no names', async () => {
  const place = await findPlace({ boxes: 3, rank: 2, rendezvous: 'localhost:29400' });
  expect(place).toMatchObject({ rank: 2, address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/) });
});

test('first box, but the address of another: refused', async () => {
  // Of a block for documentation, which nobody has.
  await expect(findPlace({ boxes: 2, rank: 0, rendezvous: '192.0.2.1:29400' })).rejects.toMatchObject({
    detail: { code: expect.stringMatching(/^worker\/team-(address|unreachable)$/) },
  });
});

test('name that nobody has: refused, with the setting and what to do', async () => {
  await expect(findPlace({ boxes: 2, rank: 1, rendezvous: 'box-0.invalid:29400' })).rejects.toMatchObject({
    detail: { code: 'worker/team-unreachable', rendezvous: 'box-0.invalid:29400' },
    message: expect.stringContaining('name an address of box 0'),
  });
});
