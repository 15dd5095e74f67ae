// Whole runs of the system train a model on two slow cores.
jest.setTimeout(600_000);
