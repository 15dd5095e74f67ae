/** `emeth rpc`: calls a running master's admin API. */
import { openAdminClient } from '../../admin/client';
import { defaultConfigPath } from '../../app/context';
import { loadConfig } from '../../config/load';
import { AppError } from '../../lib/errors';
import type { CommonOptions } from '../../terminal/options';
import { printJson } from '../../terminal/print';

interface RpcOptions extends CommonOptions {
  url?: string | undefined;
}

export async function callMaster(method: string, params: string | undefined, options: RpcOptions): Promise<void> {
  const url = options.url ?? masterUrl(options);
  printJson(await openAdminClient(url).call(method, params === undefined ? undefined : parseParams(params)));
}

/** Returns `my_url` of the master's configuration, for operators on its machine. */
export function masterUrl(options: CommonOptions): string {
  const path = options.config ?? defaultConfigPath('master');
  return loadConfig('master', { path, isRequired: false, env: process.env }).my_url;
}

/** A job's id and a worker's address need no JSON: each method takes only one of them. */
function parseParams(text: string): unknown {
  if (/^0x[0-9a-fA-F]{32}$/.test(text)) return { jobId: text.toLowerCase() };
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return { workerAddress: text };
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError({ code: 'usage/bad-params', text }, `The parameters ${text} are not JSON.`, { cause });
  }
}
