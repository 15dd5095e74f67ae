/** The commands about jobs, as the help shows them; their work is loaded when they run. */
import { Option } from 'commander';
import { presetNames } from '../../domain/presets';
import { amount, device, example, gasCap, wholeCount, wholeNumber } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

const JOB = '0x1f0c6f3fd2f8f0a1b2c3d4e5f6a7b8c9';

export const jobCommands: CommandTable = {
  requesters: [
    (program) =>
      program
        .command('request')
        .description('ask for a model to be trained: uploads the data and locks the fee in the contract')
        .requiredOption(
          '--dataset <file|ref>',
          'a file (text, JSON, CSV, parquet, or an archive) or a pipe (-: stdin) to upload, or sha256:…, https://…, file:…',
        )
        .requiredOption('--fee <amount>', 'what the finished job pays, with its unit: 20emt', amount)
        .option('--params <json|@file>', 'what to train, as JSON (docs/params.md)', '{}')
        .addOption(new Option('--preset <name>', 'ready parameters for a kind of job').choices(presetNames))
        .option('--base <ref>', 'the model to start from: hf:<organisation>/<name>, or sha256:… of `emeth put`')
        .addOption(
          new Option('--tune <how>', 'what of the base to train: all of it, or an adapter').choices(['full', 'lora']),
        )
        .option('--deadline <span|date>', 'when it must be done: 90m, 2h, 3d or a date', '2h')
        .option(
          '--fuel-limit <tokens>',
          'tokens the whole fee pays for (default: those of the data, over all epochs)',
          wholeCount,
        )
        .option('--storage <url>', 'storage API to use (default: storageApi of the configuration)')
        .option('--dry-run', 'only check and show what would be requested')
        .option('--show-example', 'show the first record as the model will see it, and what of it is learnt')
        .option('--wait', 'follow the job to its end; fails unless it is verified')
        .addOption(gasCap())
        .addHelpText(
          'after',
          example(
            'emeth request --dataset mobydick.txt --fee 20emt --deadline 1h --wait',
            `emeth request --dataset book.txt --fee 20emt --params '{"epochs":2,"model":{"layers":6}}' --dry-run`,
            `emeth request --dataset open.txt --fee 20emt --params '{"public":true}'`,
            'emeth request --preset chat-lora --base hf:org/model --dataset tickets.jsonl --fee 20emt --dry-run',
          ),
        )
        .action(lazily(async () => (await import('./request.js')).requestJob)),
    (program) =>
      program
        .command('put')
        .description(
          "upload a base model's directory (config.json, safetensors, tokenizer) or one file, and print its reference; what is there already is not sent again",
        )
        .argument('<path>', 'directory as transformers saves it, or a snapshot in its cache; or a file to train on')
        .option('--storage <url>', 'storage API to use (default: storageApi of the configuration)')
        .addHelpText('after', example('emeth put ./my-model', 'emeth put tickets.jsonl --json'))
        .action(lazily(async () => (await import('./put.js')).putFiles)),
    (program) =>
      program
        .command('result')
        .description(
          "fetch a job's trained model and check it against the chain, file by file; as its requester, unless it is public",
        )
        .argument('<id>', 'job id')
        .option('--out <dir>', 'where to put the model; must not exist (default: model-<id>)')
        .option('--storage <url>', 'storage API to fetch from (default: storageApi of the configuration)')
        .option('--base <dir>', 'of an adapter: your copy of its base, which is then not fetched (default: beside it)')
        .option('--wait', 'follow the job until it is verified, then fetch')
        .addHelpText('after', example(`emeth result ${JOB} --wait --out mymodel`))
        .action(lazily(async () => (await import('./result.js')).fetchResult)),
    (program) =>
      program
        .command('accept')
        .description("as a job's requester: accept its result without waiting for verifiers, whose fee comes back")
        .argument('<id>', 'job id')
        .addOption(gasCap())
        .addHelpText('after', example(`emeth accept ${JOB}`))
        .action(lazily(async () => (await import('./accept.js')).acceptResult)),
    (program) =>
      program
        .command('cancel')
        .description(
          'cancel a request that no node has taken, or end one past its deadline; the fee becomes credit again',
        )
        .argument('<id>', 'job id')
        .addOption(gasCap())
        .addHelpText('after', example(`emeth cancel ${JOB}`))
        .action(lazily(async () => (await import('./cancel.js')).cancelJob)),
  ],
  operators: [
    (program) =>
      program
        .command('joblist')
        .description("list the jobs of this master's queue, or those on a board")
        .option('--state <state>', 'only jobs in this state, e.g. training; of a board, e.g. REQUESTED')
        .option('--url <url>', 'ask the master at this address (default: my_url, else its database)')
        .option('--board [url]', 'ask a board instead (default: board_url of the configuration)')
        .option('--page <n>', 'with --board: which page', wholeNumber(1), 1)
        .addHelpText(
          'after',
          example(
            'emeth joblist',
            'emeth joblist --json --state training',
            'emeth joblist --board http://127.0.0.1:3080 --state requested',
          ),
        )
        .action(lazily(async () => (await import('./joblist.js')).listJobs)),
    (program) =>
      program
        .command('job')
        .description("show one job: state, history, rounds, and the ledger's audit")
        .argument('<id>', 'job id')
        .option('--url <url>', 'ask the master at this address (default: my_url, else its database)')
        .addHelpText('after', example(`emeth job ${JOB} --json`))
        .action(lazily(async () => (await import('./job.js')).showJob)),
    (program) =>
      program
        .command('decline')
        .description('give back a job that this master has taken; costs a small part of the deposit')
        .argument('[id]', 'job id (default: the only one in progress)')
        .addOption(gasCap())
        .addHelpText('after', example('emeth decline', `emeth decline ${JOB}`))
        .action(lazily(async () => (await import('./decline.js')).declineJob)),
  ],
  everybody: [
    (program) =>
      program
        .command('challenge')
        .description('dispute a submitted result with a bond; it is lost if the verifiers find the result good')
        .argument('<id>', 'job id')
        .option('--dry-run', 'only show the bond')
        .addOption(gasCap())
        .addHelpText('after', example(`emeth challenge ${JOB} --dry-run`))
        .action(lazily(async () => (await import('./challenge.js')).challengeResult)),
    (program) =>
      program
        .command('replay')
        .description(
          'repeat a finished job from the chain and storage alone; fails at the first claim that does not hold. Needs the key of its requester, its node or a verifier, unless it is public',
        )
        .argument('<id>', 'job id')
        .option('--full', 'also do every lease again, and show how far its update is from the merged one')
        .option('--lease <round:block>', 'only repeat up to this lease, and do it again')
        .option('--evidence <file>', "repeat what a verifier's evidence claims")
        .option('--storage <url>', 'storage API to fetch from (default: storageApi of the configuration)')
        .addOption(device())
        .option('--threads <n>', 'CPU threads of the Python children; 0: PyTorch decides', wholeNumber(0), 0)
        .addHelpText(
          'after',
          example(
            `emeth replay ${JOB}`,
            `emeth replay ${JOB} --full --threads 1 --json`,
            `emeth replay ${JOB} --lease 3:120`,
            `emeth replay ${JOB} --evidence evidence.json`,
          ),
        )
        .action(lazily(async () => (await import('./replay.js')).replayResult)),
  ],
};
