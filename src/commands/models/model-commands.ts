/** The commands that use a trained model, as the help shows them; their work is loaded when they run. */
import { Option } from 'commander';
import { dataFormats } from '../../domain/data-formats';
import { device, example, numberBetween, wholeNumber } from '../../terminal/options';
import { type CommandTable, lazily } from '../../terminal/registration';

const BASE = 'of an adapter: the directory of its base (default: `base` inside it, else where the adapter says)';

export const modelCommands: CommandTable = {
  requesters: [
    (program) =>
      program
        .command('generate')
        .description('write text with a trained model, or talk with it')
        .argument('<dir>', 'directory of the model, as `emeth result` writes it')
        .option('--prompt <text>', 'text to continue')
        .option('--chat', 'talk: each line of stdin is a message, and all before it are remembered')
        .option('--system <text>', 'with --chat: what the model is told before the conversation')
        .option('--stream', 'print the text while it is written')
        .option('--base <dir>', BASE)
        .option('--max-tokens <n>', 'maximum number of tokens to write at a time', wholeNumber(1), 200)
        .option('--temperature <t>', '0 always takes the likeliest token; higher is bolder', numberBetween(0, 10), 0.8)
        .option('--top-k <k>', 'choose among the k likeliest tokens; 0: among all', wholeNumber(0), 0)
        .option('--seed <n>', 'the same seed writes the same text', wholeNumber(0), 0)
        .addOption(device())
        .addHelpText(
          'after',
          example(
            'emeth generate .demo/model --prompt "The whale" --max-tokens 300 --stream',
            'emeth generate support-model --chat --system "You help customers of a bike shop."',
            'echo "Where is my order?" | emeth generate adapter --base smollm --chat --json',
          ),
        )
        .action(lazily(async () => (await import('./generate.js')).generateText)),
    (program) =>
      program
        .command('export')
        .description('write a trained model as one file for other programs')
        .argument('<dir>', 'directory of the model, as `emeth result` writes it')
        .requiredOption('--gguf', 'the format of llama.cpp, Ollama, LM Studio and others')
        .addOption(
          new Option('--quant <kind>', 'how weights are stored: q8_0 in 8 bits, f16 in 16, f32 as they are')
            .choices(['q8_0', 'f16', 'f32'])
            .default('q8_0'),
        )
        .option('--base <dir>', BASE)
        .requiredOption('--out <file>', 'the file to write; must not exist')
        .addHelpText('after', example('emeth export mymodel --gguf --quant f16 --out mymodel.gguf'))
        .action(lazily(async () => (await import('./export.js')).exportModel)),
    (program) =>
      program
        .command('eval')
        .description('measure how well a trained model predicts a data set: loss, perplexity, bits per byte')
        .argument('<dir>', 'directory of the model, as `emeth result` writes it')
        .option('--data <file>', 'text, records or an archive, as for `emeth request`; of chats answers alone count')
        .addOption(
          new Option('--format <kind>', 'of --data: what kind of file it is; auto: found by its content')
            .choices(dataFormats)
            .default('auto'),
        )
        .option('--field <name>', 'of --data: the field or column that holds the text')
        .option('--lm-eval <task>', 'instead of --data: run this task of lm-eval, where that is installed')
        .option('--base <dir>', BASE)
        .option('--context <n>', 'tokens of a sequence (default: what the model reads, at most 1024)', wholeNumber(2))
        .addOption(device())
        .addHelpText(
          'after',
          example('emeth eval mymodel --data tickets.jsonl --json', 'emeth eval mymodel --lm-eval hellaswag'),
        )
        .action(lazily(async () => (await import('./eval.js')).evalModel)),
  ],
};
