/** Authentication of the session's text frames: an X25519 key agreement and a counted MAC per frame. */
import {
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  timingSafeEqual,
} from 'node:crypto';
import type { Bytes32 } from '../domain/ids';

const MAC_HEX = 32;

/** The MAC keys of one session, one per direction. */
export interface SessionKeys {
  toMaster: Buffer;
  toWorker: Buffer;
}

export interface EphemeralKey {
  readonly publicKey: Bytes32;
  /** Derives the session's keys. Throws for a public key that is not a point or is weak. */
  agree(other: Bytes32, nonces: { master: Bytes32; worker: Bytes32 }): SessionKeys;
}

/** A fresh X25519 key for one session. */
export function ephemeralKey(): EphemeralKey {
  const pair = generateKeyPairSync('x25519');
  const x = pair.publicKey.export({ format: 'jwk' }).x as string;
  return {
    publicKey: `0x${Buffer.from(x, 'base64url').toString('hex')}`,
    agree(other, nonces) {
      const jwk = { kty: 'OKP', crv: 'X25519', x: Buffer.from(other.slice(2), 'hex').toString('base64url') };
      const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
      const shared = diffieHellman({ privateKey: pair.privateKey, publicKey });
      const salt = Buffer.from(nonces.master.slice(2) + nonces.worker.slice(2), 'hex');
      const derive = (info: string) => Buffer.from(hkdfSync('sha256', shared, salt, info, 32));
      return { toMaster: derive('emeth.v1 to master'), toWorker: derive('emeth.v1 to worker') };
    },
  };
}

/** Prefixes each text with a MAC over the text and the number of texts before it. */
export class Sealer {
  private count = 0n;

  constructor(private readonly key: Buffer) {}

  seal(text: string): string {
    return mac(this.key, this.count++, text).toString('hex') + text;
  }
}

/** Verifies what `Sealer` made: a changed, repeated, missing or reordered text does not open. */
export class Opener {
  private count = 0n;

  constructor(private readonly key: Buffer) {}

  open(sealed: string): string | undefined {
    const given = Buffer.from(sealed.slice(0, MAC_HEX), 'hex');
    const text = sealed.slice(MAC_HEX);
    const expected = mac(this.key, this.count++, text);
    return given.length === expected.length && timingSafeEqual(given, expected) ? text : undefined;
  }
}

function mac(key: Buffer, count: bigint, text: string): Buffer {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(count);
  return createHmac('sha256', key)
    .update(counter)
    .update(text)
    .digest()
    .subarray(0, MAC_HEX / 2);
}
