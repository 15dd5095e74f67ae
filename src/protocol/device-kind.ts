/** The kinds of devices that a worker trains on. */
import { z } from 'zod';

export const DeviceKind = z.enum(['cpu', 'cuda']);
export type DeviceKind = z.infer<typeof DeviceKind>;
