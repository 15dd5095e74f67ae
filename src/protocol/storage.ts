/** The storage API: its routes, and what an uploader signs. */

/**
 * Blobs over HTTP.
 *
 *     HEAD/GET {storageApi}/blobs/<sha256>     size, ranged bytes
 *     HEAD     {storageApi}/uploads/<sha256>   `Upload-Offset`: bytes of the upload the server already has
 *     PUT      {storageApi}/uploads/<sha256>   body, appended at `Upload-Offset`; needs `Authorization`
 *
 * An upload carries `Upload-Length` (total bytes) and `Authorization: Emeth <address> <expiresAtMs>
 * <signature>`, where the signature is EIP-712 over `Upload`, domain {name 'Emeth Storage', version '1',
 * chainId}. It authorises this one blob.
 */
export const uploadTypes = {
  Upload: [
    { name: 'owner', type: 'address' },
    { name: 'blob', type: 'bytes32' },
    { name: 'bytes', type: 'uint256' },
    { name: 'expiresAtMs', type: 'uint256' },
  ],
};
export const LINK_DOMAIN = 'Emeth Link';
export const STORAGE_DOMAIN = 'Emeth Storage';
