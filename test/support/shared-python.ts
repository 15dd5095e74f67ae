/**
 * Set-up of the projects that start Python: one process with PyTorch in memory forks the children of all
 * tests. Starting each anew would cost seconds of a core, hundreds of times.
 */
import { openForkServer } from './fork-server';
import { realPython } from './tiny-job';

// biome-ignore lint/style/noDefaultExport: jest calls the default export.
export default async function sharePython(): Promise<void> {
  // Each project sets up for itself, in the same process.
  if (process.env.EMETH_REAL_PYTHON) return;
  process.env.EMETH_REAL_PYTHON = realPython;
  const server = await openForkServer();
  server.unref();
  process.env.EMETH_PYTHON = server.python;
  // A forked child is outside of any walls; tests of these start their own.
  process.env.EMETH_SANDBOX = 'off';
}
