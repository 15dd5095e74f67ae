/** Lines on stderr that are redrawn in place on a terminal, and a plain line now and then elsewhere. */
/** An area of the terminal below which nothing else is printed until `end`. */
export interface LiveLines {
  /**
   * Replaces what was shown before. Without a terminal, prints only the first line, at most every ten
   * seconds.
   */
  show(lines: readonly string[]): void;
  /** Leaves what was drawn; later lines appear below it. */
  end(): void;
}

const PLAIN_EVERY_MS = 10_000;

/** Opens the lines on stderr: stdout is for data. */
export function openLiveLines(): LiveLines {
  const out = process.stderr;
  let drawn = 0;
  let lastPlainMs = 0;
  return {
    show(lines) {
      if (!out.isTTY) {
        if (Date.now() - lastPlainMs < PLAIN_EVERY_MS) return;
        lastPlainMs = Date.now();
        out.write(`${lines[0]}\n`);
        return;
      }
      const width = out.columns || 100;
      if (drawn > 0) out.write(`\x1b[${drawn}A`);
      out.write(`\x1b[J${lines.map((line) => clip(line, width)).join('\n')}\n`);
      drawn = lines.length;
    },
    end() {
      drawn = 0;
    },
  };
}

/** Cuts a line to the terminal's width without counting colour codes. */
function clip(line: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters
  const visible = line.replace(/\x1b\[[0-9;]*m/g, '');
  return visible.length <= width ? line : visible.slice(0, width - 1);
}
