/** The storage of escrow, registry and pool, read from the chain and as the models expect it. */
import { AbiCoder, getAddress, id, keccak256, type Result, toBeHex, ZeroHash } from 'ethers';
import { chainStates } from '../../src/domain/job';
import { nodeStatuses } from '../../src/domain/node';
import { coreInterface, type Escrow, resultHash, roles } from './escrow';
import type { EscrowModel, StoredJob } from './escrow-model';
import type { ModelTerms } from './governance-model';
import type { RegistryModel } from './registry-model';

/** Escrow, registry and pool, rebuilt from one log. */
export interface Models {
  core: EscrowModel;
  registry: RegistryModel;
}

/** The keys to compare, whether an event named them or not. */
export interface Scope {
  jobIds: readonly string[];
  accounts: readonly string[];
  organisations: readonly string[];
  slots: readonly bigint[];
  /** The accounts whose part of each slot is compared. */
  earners: readonly string[];
  termsIds: readonly bigint[];
  now: bigint;
}

const coreRoles = { admin: ZeroHash, verifier: id('VERIFIER_ROLE'), pauser: id('PAUSER_ROLE') };
const NO_TERMS: ModelTerms = {
  minFee: 0n,
  verifierBps: 0n,
  penaltyBps: 0n,
  declineBps: 0n,
  tipBps: 0n,
  burnBps: 0n,
  quorum: 0n,
  minWork: 0n,
  verdictWindow: 0n,
  claimWindow: 0n,
};

/**
 * Returns these jobs and every key that the models know, with some that they do not know. With `isRecent`:
 * these jobs alone, and the latest slots and terms.
 */
export function scopeOf(
  { core, registry }: Models,
  escrow: Escrow,
  now: bigint,
  jobIds: readonly string[],
  isRecent: boolean,
): Scope {
  const accounts = new Set([
    ...roles.map((role) => getAddress(escrow.address[role])),
    ...core.credits.keys(),
    ...core.forfeits.keys(),
    ...registry.nodes.keys(),
  ]);
  const slots = new Set(isRecent ? [] : [...core.slots.keys()].map((key) => BigInt(key.split(':')[0] ?? '')));
  for (let i = 0n; i < 3n; i++) slots.add(now / 86_400n - i);
  const earners = new Set([...core.slots.keys()].flatMap((key) => key.split(':')[1] ?? []));
  for (const role of ['node', 'other', 'requester'] as const) earners.add(getAddress(escrow.address[role]));
  return {
    jobIds: [...new Set([...jobIds, ...(isRecent ? [] : core.jobs.keys()), `0x${'99'.repeat(16)}`])],
    accounts: [...accounts],
    organisations: [...new Set([...registry.organisations.keys(), ...[0, 1, 2].map((i) => id(`organisation ${i}`))])],
    slots: [...slots],
    earners: [...earners],
    termsIds: [...[...core.governance.terms.keys()].slice(isRecent ? -1 : 0), core.governance.currentTerms + 1n],
    now,
  };
}

async function table<K, V>(keys: readonly K[], read: (key: K) => Promise<V> | V): Promise<Record<string, V>> {
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [String(key), await read(key)] as const)));
}

/**
 * Finds the storage slot of the escrow's accounts: the word of an account that is only a verifier has exactly
 * one bit set, wherever the layout puts it.
 */
export async function findAccountsSlot(escrow: Escrow): Promise<number> {
  for (let slot = 0; slot < 50; slot++) {
    if ((await accountWord(escrow, slot, escrow.address.verifier)) === 1n << 248n) return slot;
  }
  throw new Error('The accounts of the escrow are not in the first 50 storage slots');
}

async function accountWord({ provider, core }: Escrow, slot: number, account: string): Promise<bigint> {
  const at = keccak256(AbiCoder.defaultAbiCoder().encode(['address', 'uint256'], [account, slot]));
  return BigInt((await provider.send('eth_getStorageAt', [core, at, 'latest'])) as string);
}

/** Waits for all fields at once, so that their calls travel together. */
async function fields<T extends Record<string, unknown>>(promised: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await Promise.all(Object.values(promised));
  return Object.fromEntries(Object.keys(promised).map((key, i) => [key, values[i]])) as {
    [K in keyof T]: Awaited<T[K]>;
  };
}

/** Reads everything that the contracts show, in the shape of `viewOf`. */
export async function readStorage(escrow: Escrow, accountsSlot: number, scope: Scope) {
  const { read, on } = escrow;
  const struct = async (value: Promise<Result>) => (await value).toObject();
  const core = fields({
    tokens: escrow.readToken('balanceOf', escrow.core),
    supply: escrow.readToken('totalSupply'),
    terms: table(scope.termsIds, (termsId) => struct(read<Result>('terms', termsId))),
    currentTerms: read('currentTerms'),
    paused: read('paused'),
    registry: read('registry'),
    registryNumber: read('registryNumber'),
    admin: read('defaultAdmin'),
    pendingAdmin: readPair(escrow, 'pendingDefaultAdmin'),
    delay: read('defaultAdminDelay'),
    pendingDelay: readPair(escrow, 'pendingDefaultAdminDelay'),
    accounts: table(scope.accounts, (account) =>
      fields({
        credit: read('credit', account),
        forfeited: read('forfeited', account),
        isActive: read('isActive', account),
        nonce: read('nonces', account),
        word: accountWord(escrow, accountsSlot, account),
        roles: table(Object.values(coreRoles), (role) => read('hasRole', role, account)),
      }),
    ),
    jobs: table(scope.jobIds, async (jobId) => {
      const job = await struct(read<Result>('jobs', jobId));
      return { ...job, state: chainStates[Number(job['state'])], paid: await paidOf(escrow, jobId, job) };
    }),
    slots: table(scope.slots, (slot) =>
      fields({
        burnt: read('slotBurnt', slot),
        by: table(scope.earners, (account) => read('slotBurntBy', slot, account)),
      }),
    ),
  });
  return fields({ core, registry: readRegistry(on.registry, escrow, scope), pool: readPool(on.pool, scope) });
}

async function readRegistry(registry: Escrow['on']['registry'], escrow: Escrow, scope: Scope) {
  const plain = (node: Result) => {
    const { status, ...rest } = node.toObject();
    return { ...rest, status: nodeStatuses[Number(status)] };
  };
  return fields({
    tokens: escrow.readToken('balanceOf', registry.address),
    nodeCount: registry.read<bigint>('nodeCount'),
    // One more than there could be.
    list: registry.read<Result[]>('nodesFrom', 0, scope.accounts.length + 1).then((all) => all.map(plain)),
    nodes: table(scope.accounts, async (account) => ({
      ...plain(await registry.read<Result>('nodeOf', account)),
      nonce: await registry.read('nonces', account),
    })),
    organisations: table(scope.organisations, async (organisation) =>
      (await registry.read<Result>('organisationOf', organisation)).toObject(),
    ),
  });
}

async function readPool(pool: Escrow['on']['pool'], scope: Scope) {
  return fields({
    minted: pool.read<bigint>('minted'),
    rewards: table(scope.slots, (slot) =>
      table(scope.earners, (account) => pool.read<bigint>('reward', slot, account)),
    ),
  });
}

async function readPair({ provider, core }: Escrow, method: string): Promise<unknown[]> {
  const data = await provider.send('eth_call', [
    { to: core, data: coreInterface.encodeFunctionData(method) },
    'latest',
  ]);
  return coreInterface.decodeFunctionResult(method, data).toArray();
}

/**
 * No view shows who was paid, but a second claim has an error of its own as long as something is left to
 * claim.
 */
async function paidOf(escrow: Escrow, jobId: string, job: Record<string, unknown>) {
  if (!isPayable(job)) return [];
  const claims = escrow.payees.map(({ worker, amount }, index) =>
    escrow.refusal(
      'stranger',
      'claimPay',
      jobId,
      resultHash,
      escrow.payoutRoot,
      index,
      worker,
      amount,
      escrow.proofOf(index),
    ),
  );
  return (await Promise.all(claims)).flatMap((name, index) =>
    name === 'EmethCore_AlreadyClaimed' ? [BigInt(index)] : [],
  );
}

const isPayable = ({ state, payout }: Record<string, unknown>) =>
  chainStates[Number(state)] === 'VERIFIED' && payout !== 0n;

/** Returns the storage that the models expect. `first` holds the values from before the events. */
export async function viewOf({ core, registry }: Models, scope: Scope, first: { supply: bigint; emission: Emission }) {
  const { governance } = core;
  const { delay, pending } = governance.delaysAt(scope.now);
  const coreView = {
    tokens: core.liabilitiesWei(),
    supply: first.supply + registry.mintedWei() - core.burntWei,
    terms: await table(scope.termsIds, (termsId) => termsOf(core, termsId)),
    currentTerms: governance.currentTerms,
    paused: governance.paused,
    registry: governance.registry,
    registryNumber: governance.registryNumber,
    admin: governance.admin(),
    pendingAdmin: [...governance.pendingAdmin],
    delay,
    pendingDelay: [...pending],
    accounts: await table(scope.accounts, (account) => accountView(core, account)),
    jobs: await table(scope.jobIds, (jobId) => jobView(core, jobId)),
    slots: await table(scope.slots, async (slot) => ({
      burnt: core.slots.get(`${slot}`) ?? 0n,
      by: await table(scope.earners, (account) => core.slots.get(`${slot}:${account}`) ?? 0n),
    })),
  };
  return {
    core: coreView,
    registry: await registryView(registry, scope),
    pool: await poolView({ core, registry }, scope, first.emission),
  };
}

/** The pool's emission in a slot; it is code, not storage. */
export type Emission = (slot: bigint) => Promise<bigint>;

function termsOf(core: EscrowModel, termsId: bigint) {
  const terms = core.governance.terms.get(termsId) ?? NO_TERMS;
  const names = Object.keys(NO_TERMS) as (keyof ModelTerms)[];
  return Object.fromEntries(names.map((name) => [name, terms[name]]));
}

function accountView(core: EscrowModel, account: string) {
  const { governance } = core;
  const [credit, forfeited] = [core.credits.get(account) ?? 0n, core.forfeits.get(account) ?? 0n];
  const activeIn = governance.activeIn.get(account) ?? 0n;
  const isVerifier = governance.has(coreRoles.verifier, account);
  return {
    credit,
    forfeited,
    isActive: governance.isActive(account),
    nonce: core.nonces.get(account) ?? 0n,
    word: credit | (forfeited << 120n) | (activeIn << 240n) | (BigInt(isVerifier) << 248n),
    roles: Object.fromEntries(Object.values(coreRoles).map((role) => [role, governance.has(role, account)])),
  };
}

function jobView(core: EscrowModel, jobId: string): StoredJob & { paid: bigint[] } {
  const zero = toBeHex(0, 20);
  const nothing = { requester: zero, node: zero, fee: 0n, fuelLimit: 0n, deadline: 0n, termsId: 0n, payout: 0n };
  const job = core.jobs.get(jobId);
  if (!job) return { state: 'NONE', ...nothing, commitment: zero, challenger: zero, paid: [] };
  const { extraWei: _, bondWei: __, paid, ...stored } = job;
  const isOpen = stored.state === 'VERIFIED' && stored.payout !== 0n;
  return { ...stored, paid: isOpen ? [...paid].sort() : [] };
}

async function registryView(model: RegistryModel, scope: Scope) {
  const shown = (node: string) => ({ ...model.node(node), operator: model.operatorOf(node) });
  return {
    tokens: model.stakesWei(),
    nodeCount: BigInt(model.nodes.size),
    list: [...model.nodes.keys()].map(shown),
    nodes: await table(scope.accounts, (account) => ({ ...shown(account), nonce: model.nonces.get(account) ?? 0n })),
    organisations: await table(scope.organisations, (organisation) => ({ ...model.organisation(organisation) })),
  };
}

/** A past slot pays each node once: its share of the emission, at most four fifths of what it burnt. */
async function poolView({ core, registry }: Models, scope: Scope, emission: Emission) {
  const reward = async (slot: bigint, account: string) => {
    const burnt = core.slots.get(`${slot}:${account}`) ?? 0n;
    const isOver = slot < scope.now / 86_400n;
    if (!isOver || burnt === 0n || registry.claimed.has(`${account}:${slot}`)) return 0n;
    const share = ((await emission(slot)) * burnt) / (core.slots.get(`${slot}`) ?? 0n);
    const most = (burnt * 8n) / 10n;
    return share < most ? share : most;
  };
  return {
    minted: registry.mintedWei(),
    rewards: await table(scope.slots, (slot) => table(scope.earners, (account) => reward(slot, account))),
  };
}
