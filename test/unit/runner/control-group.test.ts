/** Where a child's control group may be. */
import { groupParents } from '../../../src/runner/control-group';

test('version 1: inside the own groups for processes and memory', () => {
  const own = '8:pids:/a\n7:blkio:/\n4:memory:/a/b\n0::/\n';
  expect(groupParents(own, false)).toEqual(['/sys/fs/cgroup/pids/a', '/sys/fs/cgroup/memory/a/b']);
});

test('version 2: beside the own group', () => {
  expect(groupParents('0::/system.slice/emeth.service\n', true)).toEqual(['/sys/fs/cgroup/system.slice']);
});
