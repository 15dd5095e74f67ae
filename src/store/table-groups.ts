/** All table groups of this program: a feature with tables of its own adds its group here. */
import { boardTables } from './board';
import { queueTables } from './queue';

export const tableGroups = [queueTables, boardTables] as const;
