/** Which failures of preparing data are those of the data themselves, so that no node can train on them. */

/** What the Python child says of data that it refuses anywhere; each node chooses how large they may be. */
const DATA_FAULT = /^data\/(empty|not-text|too-small|no-answers|bad-(archive|format|record|template|tokenizer))$/;

/** True when a data set, or the base it is read with, cannot be trained on by anybody. */
export function isDataFault(code: string): boolean {
  return DATA_FAULT.test(code);
}
