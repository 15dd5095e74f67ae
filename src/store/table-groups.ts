/** All table groups of this program: a feature with tables of its own adds its group here. */
import { attestationTables } from './attestations';
import { blobHolderTables } from './blob-holders';
import { boardTables } from './board';
import { queueTables } from './queue';
import { storedBlobTables } from './stored-blobs';

export const tableGroups = [queueTables, boardTables, attestationTables, storedBlobTables, blobHolderTables] as const;
