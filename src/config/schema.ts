/** Joins the settings of all roles; examples, reference and the hints in error messages are made from it. */
import { BoardConfig } from './roles/board';
import { ClientConfig } from './roles/client';
import { MasterConfig } from './roles/master';
import { StorageConfig } from './roles/storage';
import { VerifierConfig } from './roles/verifier';
import { WorkerConfig } from './roles/worker';

/** The only source of what may be set: names, defaults, limits and their explanation. */
export const roleSchemas = {
  master: MasterConfig,
  worker: WorkerConfig,
  verifier: VerifierConfig,
  client: ClientConfig,
  board: BoardConfig,
  storage: StorageConfig,
} as const;
export type Role = keyof typeof roleSchemas;

interface RoleConfigs {
  master: MasterConfig;
  worker: WorkerConfig;
  verifier: VerifierConfig;
  client: ClientConfig;
  board: BoardConfig;
  storage: StorageConfig;
}
export type RoleConfig<R extends Role> = RoleConfigs[R];
