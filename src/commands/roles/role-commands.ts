/** The commands about running roles, as the help shows them; their work is loaded when they run. */
import { Option } from 'commander';
import { preferSmallHeap } from '../../lib/lean-heap';
import { example, wholeNumber } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

const host = () =>
  new Option('--host <address>', 'interface to listen on; 0.0.0.0 for everybody (default: listen, my_url)');
const port = () =>
  new Option('--port <port>', 'port to listen on; 0 takes a free one (default: listen, my_url)').argParser(
    wholeNumber(0),
  );
const insecure = () =>
  new Option('--insecure', 'serve plain HTTP although other machines can reach it (default: listen.insecure)');

export const roleCommands: CommandTable = {
  gpuOwners: [
    (program) =>
      program
        .command('worker')
        .description('train for a master: dial in, take leases, send updates')
        .addHelpText(
          'after',
          example('emeth worker', 'emeth worker --config config/worker.json --data-dir /var/lib/emeth/worker'),
        )
        .action(lazily(async () => (await import('../../app/run-worker.js')).runWorker)),
  ],
  operators: [
    (program) =>
      program
        .command('master')
        .description('coordinate: take jobs from the chain and have workers train them')
        .addOption(insecure())
        .addHelpText(
          'after',
          example('emeth master', 'emeth master --config config/master.json --data-dir /var/lib/emeth/master'),
        )
        .action(lazily(async () => (await import('../../app/run-master.js')).runMaster)),
    (program) =>
      program
        .command('verifier')
        .description('check submitted results and attest or reject them')
        .addHelpText(
          'after',
          example('emeth verifier', 'emeth verifier --config config/verifier.json --data-dir data/verifier'),
        )
        .action(lazily(async () => (await import('../../app/run-verifier.js')).runVerifier)),
    (program) =>
      program
        .command('board')
        .description('serve the public list of jobs, read from the chain, at /api/v1/jobs; needs no key')
        .addOption(host())
        .addOption(port())
        .addOption(insecure())
        .addHelpText(
          'after',
          example(
            'emeth init board --set network=local',
            'emeth board',
            'emeth board --host 0.0.0.0 --port 8080 --insecure --config config/client.json',
            "curl 'http://127.0.0.1:3080/api/v1/jobs?status=REQUESTED&sort=fee&page=1'",
          ),
        )
        .action(lazily(async () => (await import('../../app/run-board.js')).runBoard)),
    (program) =>
      program
        .command('storage')
        .description('hold data sets and results for everybody in the market: the storage API, at /api/v1')
        .addOption(host())
        .addOption(port())
        .addOption(insecure())
        .addHelpText(
          'after',
          example(
            'emeth init storage --set network=local --set my_url=https://storage.example.org',
            'emeth storage',
            'emeth storage --port 8090 --config config/storage.json --data-dir /var/lib/emeth/storage',
          ),
        )
        .action(lazily(loadStorage)),
  ],
  everybody: [
    (program) =>
      program
        .command('demo')
        .description(
          'run the whole system on this machine: chain, master, workers, verifier, one job from request to pay',
        )
        .addOption(
          new Option('--job <job>', 'text: a model from scratch; chat: a LoRA adapter that answers questions')
            .choices(['text', 'chat'])
            .default('text'),
        )
        .option('--dataset <file>', 'of --job text: text file to train on (default: Moby-Dick)')
        .option('--workers <n>', 'worker processes', wholeNumber(1), 2)
        .option(
          '--rounds <n>',
          'train as many steps as <n> full rounds have (default: two passes over a text, 200 over conversations)',
          wholeNumber(1),
        )
        .addOption(
          new Option('--cheat <kind>', 'add a worker that cheats, and see it caught').choices([
            'zeros',
            'speed',
            'noise',
          ]),
        )
        .option('--keep', 'keep everything running at the end, until Ctrl-C')
        .option('--json <file>', 'write the summary there as JSON')
        .option('--data-dir <dir>', 'where everything is written (default: .demo)')
        .addHelpText(
          'after',
          example(
            'npm run demo',
            'npm run demo -- --job chat',
            'npm run demo -- --rounds 6 --workers 3 --json summary.json',
          ),
        )
        .action(lazily(async () => (await import('./demo.js')).demo)),
  ],
};

/** A storage moves many bytes and computes little. */
async function loadStorage() {
  preferSmallHeap();
  return (await import('../../app/run-storage.js')).runStorage;
}
