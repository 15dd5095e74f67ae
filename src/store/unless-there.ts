/** What migrations share: MySQL commits each statement, so an interrupted migration leaves some behind. */

/** Runs a statement that adds something, unless that is there already. */
export async function unlessThere(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    const text = `${(error as { code?: string }).code} ${String(error)}`;
    if (!/ER_DUP_FIELDNAME|ER_DUP_KEYNAME|already exists|duplicate column/.test(text)) throw error;
  });
}
