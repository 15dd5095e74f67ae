/** `emeth db-init`: makes the tables of a master's queue, dropping old ones only with consent. */
import { loadRole } from '../../app/context';
import { storeOptions } from '../../app/role-settings';
import { AppError } from '../../lib/errors';
import { dropTables, openStore, type Store, type StoreOptions } from '../../store/open';
import { ask, isInteractive } from '../../terminal/ask';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

interface DbInitOptions extends CommonOptions {
  yes?: boolean | undefined;
}

const CONFIRMATION = 'drop';

export async function initDatabase(options: DbInitOptions): Promise<void> {
  const { config, dataDir } = loadRole('master', options);
  const target = storeOptions(config, dataDir);
  const where = describeTarget(target);

  const jobs = await countJobs(await openStore(target));
  if (jobs > 0) {
    if (!options.yes) await confirm(where, jobs);
    await dropTables(target);
    // Opening makes the tables anew.
    await (await openStore(target))[Symbol.asyncDispose]();
  }
  if (options.json) return printJson({ database: where, dropped: jobs });
  printLines(
    jobs > 0 ? `Dropped ${jobs} jobs and made the tables of ${where} anew.` : `The tables of ${where} are ready.`,
  );
}

async function countJobs(store: Store): Promise<number> {
  await using open = store;
  return (await open.jobs.list({})).length;
}

/** Throws unless a person at a terminal types the confirmation. */
async function confirm(where: string, jobs: number): Promise<void> {
  const question = `${where} holds ${jobs} jobs. Their state and history will be lost for good.`;
  if (!isInteractive()) {
    throw new AppError(
      { code: 'usage/needs-yes' },
      `${question} There is no terminal to ask at; add --yes to drop them.`,
    );
  }
  talk(question);
  if ((await ask(`Type "${CONFIRMATION}" to go on: `)) !== CONFIRMATION) {
    throw new AppError({ code: 'usage/not-confirmed' }, 'Nothing was dropped.');
  }
}

function describeTarget(target: StoreOptions): string {
  return target.kind === 'sqlite' ? target.path : `${target.user}@${target.host}:${target.port}/${target.database}`;
}
