/** What bubblewrap is told, and which variables a child gets. */
import {
  allowedVariables,
  type ChildView,
  gpuDevices,
  outermost,
  type SystemView,
  sandboxCommand,
} from '../../../src/runner/sandbox';

const system: SystemView = {
  bwrap: '/usr/bin/bwrap',
  isRecent: true,
  reads: ['/usr', '/home/ann/venv/lib'],
  links: [['/bin', 'usr/bin']],
  replaced: [['/etc/hosts', '/opt/emeth/hosts']],
};
const child: ChildView = {
  workDir: '/home/ann/data/jobs/1',
  reads: ['/home/ann/data/handed/1'],
  hidden: '/home/ann/data',
  devices: [],
};

/** The arguments that follow each occurrence of an option. */
function valuesOf(command: readonly string[], option: string, count = 1): string[][] {
  return command.flatMap((part, i) => (part === option ? [command.slice(i + 1, i + 1 + count)] : []));
}

describe('sandboxCommand', () => {
  test('default: every namespace is its own, and the child ends with its parent', () => {
    const command = sandboxCommand(system, child, ['python', '-m', 'emeth']);
    for (const kind of ['user', 'pid', 'ipc', 'uts', 'net']) expect(command).toContain(`--unshare-${kind}`);
    expect(command).toEqual(expect.arrayContaining(['--die-with-parent', '--new-session', '--disable-userns']));
    expect(command.slice(-4)).toEqual(['--', 'python', '-m', 'emeth']);
  });

  test('other boxes to meet: the network is that of its box, all else its own', () => {
    const command = sandboxCommand(system, { ...child, hasNetwork: true }, []);
    expect(command).not.toContain('--unshare-net');
    for (const kind of ['user', 'pid', 'ipc', 'uts']) expect(command).toContain(`--unshare-${kind}`);
  });

  test('default: its directory alone is writable', () => {
    const command = sandboxCommand(system, child, []);
    expect(valuesOf(command, '--bind', 2)).toEqual([[child.workDir, child.workDir]]);
    const reads = valuesOf(command, '--ro-bind', 2).map(([, path]) => path);
    expect(reads).toEqual(['/usr', '/home/ann/venv/lib', '/home/ann/data/handed/1', '/etc/hosts']);
    expect(valuesOf(command, '--remount-ro')).toEqual([['/proc'], ['/dev'], ['/']]);
  });

  test('its directory in /tmp: is there after the empty /tmp is', () => {
    const command = sandboxCommand(system, { ...child, workDir: '/tmp/job' }, []);
    expect(command.lastIndexOf('/tmp/job')).toBeGreaterThan(command.indexOf('/tmp'));
  });

  test('data directory beside the interpreter: covered, under what is handed over', () => {
    const shown = sandboxCommand({ ...system, reads: ['/usr', '/home/ann'] }, child, []);
    const places = ['/home/ann', '/home/ann/data', '/home/ann/data/handed/1', child.workDir].map((path) =>
      shown.indexOf(path),
    );
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(valuesOf(shown, '--tmpfs')).toContainEqual(['/home/ann/data']);
    expect(valuesOf(shown, '--remount-ro')).toContainEqual(['/home/ann/data']);
    expect(valuesOf(sandboxCommand(system, child, []), '--tmpfs')).not.toContainEqual(['/home/ann/data']);
  });

  test('older bubblewrap: no option that it does not know', () => {
    const command = sandboxCommand({ ...system, isRecent: false }, child, []);
    expect(command).not.toContain('--size');
    expect(command).not.toContain('--disable-userns');
  });

  test('GPU: its devices are passed through, before /dev becomes read-only', () => {
    const command = sandboxCommand(system, { ...child, devices: ['/dev/nvidia0'] }, []);
    expect(valuesOf(command, '--dev-bind', 2)).toEqual([['/dev/nvidia0', '/dev/nvidia0']]);
    expect(command.indexOf('/dev/nvidia0')).toBeLessThan(command.indexOf('--remount-ro'));
  });
});

test('paths inside others: left out', () => {
  expect(outermost(['/usr/lib', '/usr', '/usrlib', '/usr', '/home'])).toEqual(['/usr', '/usrlib', '/home']);
});

test('variables that may be secrets: not given', () => {
  const secrets = {
    EMETH__PRIVATE_KEY: '1',
    AWS_SECRET_ACCESS_KEY: '2',
    HTTPS_PROXY: '3',
    SSH_AUTH_SOCK: '4',
    HOME: '5',
  };
  const useful = { PATH: '/bin', LC_ALL: 'C', CUDA_VISIBLE_DEVICES: '1', OMP_NUM_THREADS: '2', NCCL_DEBUG: 'INFO' };
  expect(allowedVariables({ ...secrets, ...useful })).toEqual(useful);
});

test('devices of GPUs: told from others', () => {
  const gpus = ['nvidia0', 'nvidia12', 'nvidiactl', 'nvidia-uvm', 'kfd', 'dri', 'dxg'];
  expect(gpuDevices([...gpus, 'null', 'sda', 'mem', 'nvidiafake', 'kmsg'])).toEqual(gpus.map((name) => `/dev/${name}`));
});
