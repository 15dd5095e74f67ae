/** Set-up of the end-to-end project: its tests may take ten minutes. */
// A whole run of the system trains a model, on as few as two slow cores.
jest.setTimeout(600_000);
