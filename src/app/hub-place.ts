/** The model hub of a role: by its configuration, else by the variables that tools of the hub itself know. */
import { readFileSync } from 'node:fs';
import type { HubPlace } from '../blobs/hub';
import { assertPrivate } from '../config/secrets';
import { AppError } from '../lib/errors';

interface HubSettings {
  readonly hub: { readonly endpoint?: string | undefined; readonly tokenFile?: string | undefined };
}

/** `variable` is that of the environment, or the setting. */
export type HubSettingError = { code: 'config/bad-hub'; variable: string };

const PUBLIC_HUB = 'https://huggingface.co';

/**
 * Throws `config/bad-hub` for what is no address or no token, `config/…` for a token that others can read.
 */
export function hubOf({ hub }: HubSettings, env: NodeJS.ProcessEnv = process.env): HubPlace {
  const endpoint = hub.endpoint ?? (env.HF_ENDPOINT?.trim() || PUBLIC_HUB);
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new AppError<HubSettingError>(
      { code: 'config/bad-hub', variable: 'HF_ENDPOINT' },
      `HF_ENDPOINT is ${JSON.stringify(endpoint.slice(0, 200))}; set it to an http:// or https:// address, or unset it.`,
    );
  }
  return { endpoint, token: tokenOf(hub.tokenFile) ?? (env.HF_TOKEN?.trim() || undefined) };
}

function tokenOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  assertPrivate(path, 'The token of the hub');
  const token = readFileSync(path, 'utf8').trim();
  if (token !== '') return token;
  throw new AppError<HubSettingError>(
    { code: 'config/bad-hub', variable: 'hub.tokenFile' },
    `${path} (hub.tokenFile) is empty; write a token of the hub into it, or leave the setting out.`,
  );
}
