/** Private keys: opening an account from one, signing with it, making a new one. */
import { readFileSync } from 'node:fs';
import { Wallet as EthersWallet, type Signer, type TypedDataField, verifyTypedData } from 'ethers';
import { isDevChain } from '../../domain/dev-chain';
import { Address } from '../../domain/ids';
import { decodeText, findUtf16 } from '../../lib/decode-text';
import { AppError } from '../../lib/errors';
import { exposedMode } from '../../lib/private-file';
import { openKeystore } from './keystore';

export type WalletError =
  | { code: 'wallet/bad-key' }
  | { code: 'wallet/public-key'; address: Address; chainId: number }
  | { code: 'wallet/unreadable'; path: string }
  | { code: 'wallet/exposed'; path: string; mode: string }
  | { code: 'wallet/not-text'; path: string };

type Types = Record<string, TypedDataField[]>;

/** An account that signs. The key itself never leaves this file and ethers. */
export interface Wallet {
  readonly address: Address;
  /**
   * Signs EIP-712 data over domain {name, version '1', chainId}; the wallet's own chain unless another is
   * given.
   */
  signTyped(domain: string, types: Types, value: object, chainId?: number): Promise<string>;
  /** Signs EIP-712 data bound to one contract as well. */
  signFor(contract: { name: string; address: Address }, types: Types, value: object): Promise<string>;
  /** For the transaction sender, the only other user of the key. */
  readonly signer: Signer;
}

export type KeySource =
  | { privateKey: string }
  | { privateKeyFile: string }
  | { keystore: string; passwordFile: string };

/**
 * Accounts of the mnemonic that anvil and Hardhat start with. Their keys are public, and bots empty them
 * within seconds.
 */
const DEV_ACCOUNTS: ReadonlySet<string> = new Set([
  '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
  '0x70997970c51812dc3a010c7d01b50e0d17dc79c8',
  '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc',
  '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
  '0x15d34aaf54267db7d7c367839aaf71a00a2c6a65',
  '0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc',
  '0x976ea74026e726554db657fa54763abd0c3a0aa9',
  '0x14dc79964da2c08b23698b3d3cc7ca32193d9955',
  '0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f',
  '0xa0ee7a142d267c1f36714e4a8f75612f20a79720',
]);

/**
 * Opens an account from a key, a key file or a keystore v3 with its password. Refuses files that others may
 * read, and publicly known keys on any chain that is not for development.
 */
export async function openWallet(source: KeySource, chainId: number): Promise<Wallet> {
  const signer = await openSigner(source);
  const address = Address.parse(signer.address);
  if (DEV_ACCOUNTS.has(address) && !isDevChain(chainId)) {
    throw new AppError<WalletError>(
      { code: 'wallet/public-key', address, chainId },
      `The key of ${address} is public and chain ${chainId} is not a development chain; use an account of your own.`,
    );
  }
  return {
    address,
    signTyped: (name, types, value, onChain = chainId) =>
      signer.signTypedData({ name, version: '1', chainId: onChain }, types, value),
    signFor: (contract, types, value) =>
      signer.signTypedData(
        { name: contract.name, version: '1', chainId, verifyingContract: contract.address },
        types,
        value,
      ),
    signer,
  };
}

/** Returns the signer; undefined for an invalid signature. */
export function recoverTyped(
  chainId: number,
  domain: string,
  types: Types,
  value: object,
  signature: string,
): Address | undefined {
  try {
    return Address.parse(verifyTypedData({ name: domain, version: '1', chainId }, types, value, signature));
  } catch {
    return undefined;
  }
}

/** Makes a new account: its key in hex, or locked into keystore v3 JSON. */
export async function newAccount(
  password?: Uint8Array,
): Promise<{ address: Address; privateKey: string; keystore?: string }> {
  const wallet = EthersWallet.createRandom();
  const keystore =
    password === undefined ? undefined : standardKeystore(await new EthersWallet(wallet.privateKey).encrypt(password));
  return { address: Address.parse(wallet.address), privateKey: wallet.privateKey, ...(keystore ? { keystore } : {}) };
}

async function openSigner(source: KeySource): Promise<EthersWallet> {
  if ('privateKey' in source) return fromHex(source.privateKey);
  if ('privateKeyFile' in source) return fromFile(source.privateKeyFile);
  const { keystore: path, passwordFile } = source;
  return openKeystore({ path, text: readSecretText(path) }, { path: passwordFile, bytes: readPassword(passwordFile) });
}

function fromFile(path: string): EthersWallet {
  const text = readSecretText(path).trim();
  if (!text.startsWith('{')) return fromHex(text);
  throw new AppError<WalletError>(
    { code: 'wallet/bad-key' },
    `${path} is an encrypted keystore; name it as keystore, with its passwordFile, instead of privateKeyFile.`,
  );
}

function fromHex(hex: string): EthersWallet {
  try {
    return new EthersWallet(hex.startsWith('0x') ? hex : `0x${hex}`);
  } catch {
    // The cause would put the key into a log.
    throw new AppError<WalletError>({ code: 'wallet/bad-key' }, 'The private key is not 64 hex digits of a valid key.');
  }
}

function readSecretText(path: string): string {
  const { text, problem } = decodeText(readSecret(path));
  if (text !== undefined) return text;
  throw notText(path, problem);
}

/** The bytes of a password count as they are, in whatever encoding; only UTF-16 is never meant. */
function readPassword(path: string): Buffer {
  const bytes = readSecret(path);
  const problem = findUtf16(bytes);
  if (problem === undefined) return bytes;
  throw notText(path, problem);
}

function notText(path: string, problem: string): AppError<WalletError> {
  return new AppError({ code: 'wallet/not-text', path }, `The key file ${path} cannot be used: ${problem}.`);
}

function readSecret(path: string): Buffer {
  let mode: string | undefined;
  try {
    mode = exposedMode(path);
  } catch (cause) {
    throw new AppError<WalletError>(
      { code: 'wallet/unreadable', path },
      `The key file ${path} cannot be read: correct its path in the configuration, or its permissions.`,
      {
        cause,
      },
    );
  }
  if (mode === undefined) return readFileSync(path);
  throw new AppError<WalletError>(
    { code: 'wallet/exposed', path, mode },
    `Others may read ${path} (mode ${mode}); run chmod 600 ${path}, or mount it with mode 0400.`,
  );
}

/** Renames the field `Crypto` that ethers writes, which strict readers of the standard do not know. */
function standardKeystore(keystore: string): string {
  const { Crypto: crypto, ...rest } = JSON.parse(keystore) as { Crypto: unknown };
  return JSON.stringify({ ...rest, crypto });
}
