/** Joins ethers to a pool of endpoints, so that everything ethers asks gets the pool's failover. */
import { type JsonRpcPayload, JsonRpcProvider, type JsonRpcResult, Network } from 'ethers';
import type { EndpointPool } from './endpoint-pool';

/** An ethers provider over a pool. Destroying it closes the pool. */
export class FailoverProvider extends JsonRpcProvider {
  constructor(readonly endpoints: EndpointPool) {
    const network = Network.from(endpoints.chainId);
    super(endpoints.nameOf(0), network, {
      staticNetwork: network,
      // Waiting to fill a batch costs 10 ms a call, and callers here ask one thing at a time.
      batchMaxCount: 1,
      // ethers would repeat an answer for 250 ms: long enough to return a nonce or credit from before the
      // caller's own transaction.
      cacheTimeout: -1,
      pollingInterval: 500,
    });
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const payloads = Array.isArray(payload) ? payload : [payload];
    return Promise.all(
      payloads.map(async (one) => {
        const { answer } = await this.endpoints.post(one);
        // The id in an endpoint's answer is not reliable, and not needed: each request has its own
        // connection.
        return { ...answer, id: one.id } as JsonRpcResult;
      }),
    );
  }

  override destroy(): void {
    this.endpoints.close();
    super.destroy();
  }
}
