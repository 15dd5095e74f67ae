/** Where a child's control group may be. */
import { groupParents } from '../../../src/runner/control-group';

test('version 1: inside the own groups for processes and memory', () => {
  const own = '8:pids:/a\n7:blkio:/\n4:memory:/a/b\n0::/\n';
  expect(groupParents(own, { isVersion2: false, read: () => undefined })).toEqual([
    '/sys/fs/cgroup/pids/a',
    '/sys/fs/cgroup/memory/a/b',
  ]);
});

const service = '0::/system.slice/emeth.service\n';
const reading = (limits: Record<string, string>) => ({
  isVersion2: true,
  read: (path: string) => limits[path.replace('/sys/fs/cgroup/system.slice/emeth.service/', '')],
});

test('version 2: beside the own group', () => {
  const free = reading({ 'memory.max': 'max\n', 'cpu.max': 'max 100000\n', 'pids.max': '4915\n' });
  expect(groupParents(service, free)).toEqual(['/sys/fs/cgroup/system.slice']);
});

test('version 2, own group has limits: none, as they would not count beside it', () => {
  expect(groupParents(service, reading({ 'memory.max': '8589934592\n' }))).toEqual([]);
});
