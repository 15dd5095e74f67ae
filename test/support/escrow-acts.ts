/** Every call to escrow, registry and pool with arguments that usually succeed, for random histories. */
import { concat, id, JsonRpcSigner, MaxUint256, Signature, ZeroAddress, ZeroHash } from 'ethers';
import { defaultTerms } from '../../src/chain/deploy/deploy';
import {
  type ContractName,
  commitmentOf,
  coreInterface,
  type Escrow,
  enrolmentOf,
  type Role,
  reasonHash,
  result,
  resultHash,
  USED,
} from './escrow';

const EMT = 10n ** 18n;
const DAY = 86_400;
/** Roles that are registered and leave again; `node` stays most of the time. */
const nodes = ['node', 'other', 'worker'] as const;
/** Roles whose attestations a verdict by signatures brings. */
const signers = ['verifier', 'verifier2'] as const;

/** The subject of an act; `part` chooses among its variants. */
export interface Subject {
  jobId: string;
  part: number;
  by: Role;
}
interface Act {
  /** The role that usually does it, so that most acts succeed; a random one if left out. */
  usual?: Role | undefined;
  /** The contract's method; the act's own name if left out. */
  method?: string | undefined;
  args(subject: Subject): unknown[] | Promise<unknown[]>;
}

/** Signs as a role, with the key that anvil keeps for it. `fields` are in the order of the type. */
async function signBy(
  escrow: Escrow,
  role: Role,
  contract: { name: string; address: string },
  type: string,
  fields: Record<string, [type: string, value: unknown]>,
): Promise<string> {
  const signer = new JsonRpcSigner(escrow.provider, escrow.address[role]);
  const domain = { name: contract.name, version: '1', chainId: 31337, verifyingContract: contract.address };
  const types = { [type]: Object.entries(fields).map(([name, [solidityType]]) => ({ name, type: solidityType })) };
  const values = Object.fromEntries(Object.entries(fields).map(([name, [, value]]) => [name, value]));
  return signer.signTypedData(domain, types, values);
}

/**
 * Returns arguments of requests with unique salts, due in half an hour or, for parts above 8, in some months.
 */
function openRequests(escrow: Escrow) {
  let count = 0;
  return async ({ part }: Subject): Promise<[string, string, bigint, bigint, bigint, string]> => {
    count += 1;
    const seconds = part > 8 ? BigInt(part * 12 * DAY) : 1800n;
    const salt = `0x${count.toString(16).padStart(64, '0')}`;
    return ['sha256:00', '{}', 1000n * EMT, 1_000_000n, (await escrow.now()) + seconds, salt];
  };
}

function jobActs(escrow: Escrow) {
  const nextRequest = openRequests(escrow);
  const verdict = commitmentOf(escrow.payoutRoot);
  const claim = (jobId: string, index: number) => {
    const { worker, amount } = escrow.payees[index % 3]!;
    return [jobId, resultHash, escrow.payoutRoot, index % 3, worker, amount, escrow.proofOf(index % 3)];
  };
  const ofJob = ({ jobId }: Subject) => [jobId];
  const attested = async (jobId: string, accepted: boolean, reason: string) => {
    const contract = { name: 'EmethCore', address: escrow.core };
    const byAddress = signers.toSorted((a, b) => (escrow.address[a] < escrow.address[b] ? -1 : 1));
    const signatures = byAddress.map((role) =>
      signBy(escrow, role, contract, 'Attestation', {
        jobId: ['bytes16', jobId],
        commitment: ['bytes20', verdict],
        accepted: ['bool', accepted],
        reasonHash: ['bytes16', reason],
      }),
    );
    return concat(await Promise.all(signatures));
  };
  return {
    request: { usual: 'requester', args: nextRequest },
    requestWithPermit: {
      usual: 'requester',
      async args(subject) {
        const { by } = subject;
        const { address } = escrow.on.token;
        const signature = await signBy(escrow, by, { name: 'Emeth', address }, 'Permit', {
          owner: ['address', escrow.address[by]],
          spender: ['address', escrow.core],
          value: ['uint256', MaxUint256],
          nonce: ['uint256', await escrow.readToken('nonces', escrow.address[by])],
          deadline: ['uint256', MaxUint256],
        });
        const { v, r, s } = Signature.from(signature);
        return [...(await nextRequest(subject)), MaxUint256, MaxUint256, v, r, s];
      },
    },
    process: { usual: 'node', args: ofJob },
    decline: { usual: 'node', args: ofJob },
    submit: {
      usual: 'node',
      args: ({ jobId, part }) => [jobId, resultHash, (USED * BigInt(part)) / 10n, escrow.payoutRoot, result],
    },
    verify: { usual: 'verifier', args: ({ jobId }) => [jobId, verdict, '0x'] },
    verifyBySignatures: {
      method: 'verify',
      args: async ({ jobId }) => [jobId, verdict, await attested(jobId, true, `0x${'00'.repeat(16)}`)],
    },
    rejectResult: { usual: 'verifier', args: ({ jobId }) => [jobId, verdict, reasonHash, '0x'] },
    rejectBySignatures: {
      method: 'rejectResult',
      args: async ({ jobId }) => [jobId, verdict, reasonHash, await attested(jobId, false, reasonHash)],
    },
    accept: { usual: 'requester', args: ofJob },
    challenge: { args: ofJob },
    cancel: { usual: 'requester', args: ofJob },
    expire: { args: ofJob },
    timeout: { args: ofJob },
    finalize: { args: ofJob },
    unwind: { args: ofJob },
    payWorkers: { args: ({ jobId }) => [jobId, resultHash, escrow.payees] },
    claimPay: { args: ({ jobId, part }) => claim(jobId, part) },
    sweepUnclaimed: { usual: 'node', args: ofJob },
    claimTwo: {
      method: 'multicall',
      args: ({ jobId, part }) => [
        [part, part + 1].map((index) => coreInterface.encodeFunctionData('claimPay', claim(jobId, index))),
      ],
    },
  } satisfies Record<string, Act>;
}

function moneyActs(escrow: Escrow) {
  const { node, other } = escrow.address;
  return {
    deposit: { args: ({ part }) => [node, BigInt(part) * EMT] },
    withdraw: { args: ({ part }) => [other, BigInt(part) * EMT] },
    withdrawWithSig: {
      async args({ part }) {
        const amount = BigInt(part) * EMT;
        const signature = await signBy(escrow, 'node', { name: 'EmethCore', address: escrow.core }, 'Withdrawal', {
          account: ['address', node],
          to: ['address', other],
          amount: ['uint256', amount],
          tip: ['uint256', EMT],
          nonce: ['uint256', await escrow.read('nonces', node)],
          deadline: ['uint256', MaxUint256],
        });
        return [node, other, amount, EMT, MaxUint256, signature];
      },
    },
    burn: { args: () => [node] },
    depositAndWithdraw: {
      method: 'multicall',
      args: ({ part, by }) => [
        [
          coreInterface.encodeFunctionData('deposit', [escrow.address[by], BigInt(part + 1) * EMT]),
          coreInterface.encodeFunctionData('withdraw', [other, EMT]),
          coreInterface.encodeFunctionData('burn', [escrow.address[by]]),
        ],
      ],
    },
  } satisfies Record<string, Act>;
}

function governanceActs(escrow: Escrow) {
  const { address, on } = escrow;
  const grants = [
    [id('VERIFIER_ROLE'), address.verifier2],
    [id('VERIFIER_ROLE'), address.verifier],
    [id('PAUSER_ROLE'), address.stranger],
    [id('PAUSER_ROLE'), address.pauser],
  ];
  const grant = ({ part }: Subject) => grants[part % grants.length] as unknown[];
  return {
    setTerms: {
      usual: 'admin',
      args: ({ part }) => [
        {
          ...defaultTerms,
          quorum: 1 + Number(part % 4 === 3),
          verifierBps: 100 * (part % 5),
          declineBps: 20 * part,
          tipBps: 50 * part,
          burnBps: 100 * part,
          minWork: 60 + part,
          verdictWindow: 3600 + part,
          claimWindow: (90 + part) * DAY,
        },
      ],
    },
    setPaused: { usual: 'pauser', args: ({ part }) => [part % 4 === 0] },
    // The account `other`, as a registry, may report anything.
    setRegistry: {
      usual: 'admin',
      args: ({ part }) => [[on.registry.address, ZeroAddress, on.registry.address, address.other][part % 4]],
    },
    setActive: { usual: 'other', args: ({ part }) => [address[nodes[part % 3] as Role], part % 2 === 0] },
    grantRole: { usual: 'admin', args: grant },
    revokeRole: { usual: 'admin', args: grant },
    renounceRole: { args: ({ part, by }) => [id(part % 2 ? 'VERIFIER_ROLE' : 'PAUSER_ROLE'), address[by]] },
    renounceAdmin: { method: 'renounceRole', usual: 'admin', args: ({ by }) => [ZeroHash, address[by]] },
    beginDefaultAdminTransfer: {
      usual: 'admin',
      args: ({ part }) => [[address.admin, address.stranger, ZeroAddress][part % 3]],
    },
    cancelDefaultAdminTransfer: { usual: 'admin', args: () => [] },
    acceptDefaultAdminTransfer: { usual: 'admin', args: () => [] },
    changeDefaultAdminDelay: { usual: 'admin', args: ({ part }) => [part * DAY] },
    rollbackDefaultAdminDelay: { usual: 'admin', args: () => [] },
  } satisfies Record<string, Act>;
}

function registryActs(escrow: Escrow) {
  const { address, on } = escrow;
  const nodeOf = ({ part }: Subject) => address[nodes[part % 3] as Role];
  const ofNode = (subject: Subject) => [nodeOf(subject)];
  /** A node that registers again keeps its wallet. */
  const walletOf = async (role: Role) => {
    const wallet = await on.registry.read<string>('payoutOf', address[role]);
    return wallet === ZeroAddress ? address[role] : wallet;
  };
  const stake = (part: number) => BigInt(10 + part) * EMT;
  return {
    createOrganisation: { args: ({ part }) => [`organisation ${part % 3}`] },
    offerOrganisation: { usual: 'node', args: (subject) => [id('node'), nodeOf(subject)] },
    takeOrganisation: { args: () => [id('node')] },
    register: {
      args: async ({ part, by }) => {
        const organisation = id(part % 2 ? 'node' : `organisation ${part % 3}`);
        return [enrolmentOf(address[by], { organisation, payout: await walletOf(by) }), stake(part), '0x'];
      },
    },
    registerOther: {
      method: 'register',
      usual: 'node',
      async args({ part, by }) {
        const role = nodes[1 + (part % 2)] as Role;
        const enrolment = enrolmentOf(address[role], { computeUnits: part, payout: await walletOf(role) });
        const signature = await signBy(
          escrow,
          role,
          { name: 'NodeRegistry', address: on.registry.address },
          'Enrolment',
          {
            node: ['address', enrolment.node],
            operator: ['address', address[by]],
            organisation: ['bytes32', enrolment.organisation],
            payout: ['address', enrolment.payout],
            capabilityHash: ['bytes32', enrolment.capabilityHash],
            capabilityUri: ['string', enrolment.capabilityUri],
            computeUnits: ['uint32', enrolment.computeUnits],
            nonce: ['uint256', await on.registry.read('nonces', enrolment.node)],
            deadline: ['uint256', enrolment.deadline],
          },
        );
        return [enrolment, stake(part), signature];
      },
    },
    addStake: { args: (subject) => [nodeOf(subject), BigInt(subject.part) * EMT] },
    setCapability: {
      args: (subject) => [
        nodeOf(subject),
        id(`${subject.part}`),
        `https://c.example.org/${subject.part}`,
        subject.part,
      ],
    },
    deactivate: { usual: 'node', args: ofNode },
    reactivate: { usual: 'node', args: ofNode },
    withdrawStake: { usual: 'node', args: ofNode },
    proposePayout: { usual: 'node', args: (subject) => [nodeOf(subject), address.worker] },
    confirmPayout: { usual: 'worker', args: ofNode },
    cancelPayoutChange: { args: ofNode },
    sync: { args: ofNode },
  } satisfies Record<string, Act>;
}

function poolActs(escrow: Escrow) {
  return {
    claimSlots: {
      usual: 'node',
      async args() {
        const today = Number((await escrow.now()) / BigInt(DAY));
        return [Array.from({ length: 5 }, (_, i) => today - 4 + i)];
      },
    },
  } satisfies Record<string, Act>;
}

type JobAct = keyof ReturnType<typeof jobActs>;
type MoneyAct = keyof ReturnType<typeof moneyActs>;
type GovernanceAct = keyof ReturnType<typeof governanceActs>;
type RegistryAct = keyof ReturnType<typeof registryActs>;
type PoolAct = keyof ReturnType<typeof poolActs>;
export type ActName = JobAct | MoneyAct | GovernanceAct | RegistryAct | PoolAct;

export interface Acts {
  readonly names: Record<'job' | 'money' | 'governance' | 'registry' | 'pool', readonly ActName[]>;
  usual(act: ActName): Role | undefined;
  /** Performs the act and returns the id of a requested job; throws the contract's error by name. */
  perform(act: ActName, subject: Subject): Promise<string | undefined>;
}

/** Returns every act that anybody can perform on escrow, registry and pool. */
export function openActs(escrow: Escrow): Acts {
  const groups = {
    job: jobActs(escrow),
    money: moneyActs(escrow),
    governance: governanceActs(escrow),
    registry: registryActs(escrow),
    pool: poolActs(escrow),
  };
  const contracts: Record<keyof typeof groups, ContractName> = {
    job: 'core',
    money: 'core',
    governance: 'core',
    registry: 'registry',
    pool: 'pool',
  };
  const all = new Map<ActName, Act & { contract: ContractName }>();
  for (const [group, acts] of Object.entries(groups)) {
    const contract = contracts[group as keyof typeof groups];
    for (const [name, act] of Object.entries<Act>(acts)) all.set(name as ActName, { ...act, contract });
  }
  const find = (name: ActName) => all.get(name) as Act & { contract: ContractName };
  const namesOf = (acts: object) => Object.keys(acts) as ActName[];
  return {
    names: {
      job: namesOf(groups.job),
      money: namesOf(groups.money),
      governance: namesOf(groups.governance),
      registry: namesOf(groups.registry),
      pool: namesOf(groups.pool),
    },
    usual: (name) => find(name).usual,
    async perform(name, subject) {
      const { contract, method, args } = find(name);
      const { events } = await escrow.on[contract].send(subject.by, method ?? name, ...(await args(subject)));
      return events.find((event) => event.name === 'JobRequested')?.args['jobId'] as string | undefined;
    },
  };
}
