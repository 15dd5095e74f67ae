/** The process of the demo's cheating worker: no command, so that nobody runs one by mistake. */
import { type Cheat, demoCheats, isDemoCheat, openCheating } from '../demo/cheat';
import { runDisguised } from './run-worker';

const [kind = '', config, dataDir] = process.argv.slice(2);
if (!isDemoCheat(kind)) throw new Error(`No cheat is called ${kind}.`);
const cheat: Cheat = demoCheats[kind];
void runDisguised({ config, dataDir }, { wrap: (open) => openCheating(cheat, open), boast: cheat.boast ?? 1 });
