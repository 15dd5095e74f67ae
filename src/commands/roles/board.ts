import type { Command } from 'commander';
import { type CommonOptions, example, wholeNumber } from '../../terminal/options';

interface BoardOptions extends CommonOptions {
  host?: string | undefined;
  port?: number | undefined;
}

export function registerBoard(program: Command): void {
  program
    .command('board')
    .description('serve the public list of jobs, read from the chain, at /api/v1/jobs; needs no key')
    .option('--host <address>', 'interface to listen on; 0.0.0.0 for everybody (default: listen, my_url)')
    .option('--port <port>', 'port to listen on; 0 takes a free one (default: listen, my_url)', wholeNumber(0))
    .addHelpText(
      'after',
      example(
        'emeth init board --set network=local',
        'emeth board',
        'emeth board --host 0.0.0.0 --port 8080 --config config/client.json',
        "curl 'http://127.0.0.1:3080/api/v1/jobs?status=REQUESTED&sort=fee&page=1'",
      ),
    )
    .action(async (options: BoardOptions) => {
      const { runBoard } = await import('../../app/run-board.js');
      await runBoard(options);
    });
}
