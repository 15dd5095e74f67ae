/** What is installed from npm: which packages come with others, run scripts, or carry machine code. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';

interface LockEntry {
  dev?: boolean;
  hasInstallScript?: boolean;
  integrity?: string;
  resolved?: string;
  os?: string[];
  cpu?: string[];
}

/** What a change of package.json or the lock file can let in unseen, as `packages.json` records it. */
export interface PackageFacts {
  /** Production packages that no package.json of ours names; they come with those it names. */
  indirect: string[];
  /** How many packages only tests and tools need. */
  development: number;
  /** Packages that run a script when they are installed. */
  scripts: string[];
  /** Packages whose tarballs hold machine code or WebAssembly, twins for other platforms apart. */
  binaries: string[];
}

const MAGICS = [
  [0x7f, 0x45, 0x4c, 0x46], // ELF
  [0x4d, 0x5a], // PE
  [0xcf, 0xfa, 0xed, 0xfe], // Mach-O
  [0xca, 0xfe, 0xba, 0xbe], // Mach-O of several processors
  [0x00, 0x61, 0x73, 0x6d], // WebAssembly
];
/** Too many to open, and never started: what they are is seen in their text. */
const TEXT = [
  '.js',
  '.cjs',
  '.mjs',
  '.ts',
  '.cts',
  '.mts',
  '.json',
  '.md',
  '.map',
  '.yml',
  '.sol',
  '.txt',
  '.h',
  '.py',
];
/** What the compiler of this machine makes while a package is installed. */
const COMPILED_HERE = ['build'];

export function readLock(root: string): Map<string, LockEntry> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  return new Map(Object.entries(packages).filter(([path]) => path !== ''));
}

export function packageFacts(root: string): PackageFacts {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const lock = [...readLock(root)];
  const production = lock.filter(([, entry]) => !entry.dev);
  return {
    indirect: namesOf(production).filter((name) => !(name in dependencies)),
    development: namesOf(lock.filter(([, { dev }]) => dev)).length,
    scripts: namesOf(lock.filter(([, entry]) => entry.hasInstallScript)),
    binaries: namesOf(lock.filter(([path]) => holdsMachineCode(join(root, path)))),
  };
}

/** Returns each name once, twins for other platforms under one, in order. */
function namesOf(entries: readonly (readonly [string, LockEntry])[]): string[] {
  const names = entries.map(([path, { os, cpu }]) => {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    return os || cpu ? withoutPlatform(name) : name;
  });
  return [...new Set(names)].sort();
}

function withoutPlatform(name: string): string {
  return name.replace(
    /([-/])(darwin|linux|linuxmusl|win32|windows|android|freebsd|openbsd|openharmony|wasm32|sunos)\b.*$/,
    '$1*',
  );
}

/** Tells whether an installed package came with machine code. A package for another platform is not there. */
function holdsMachineCode(dir: string): boolean {
  const entries = listDir(dir);
  return entries.some((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      return entry.name !== 'node_modules' && !COMPILED_HERE.includes(entry.name) && holdsMachineCode(path);
    }
    return entry.isFile() && !TEXT.includes(extname(entry.name)) && isMachineCode(path);
  });
}

function listDir(dir: string): ReturnType<typeof readEntries> {
  try {
    return readEntries(dir);
  } catch {
    return [];
  }
}

const readEntries = (dir: string) => readdirSync(dir, { withFileTypes: true });

function isMachineCode(path: string): boolean {
  const head = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, head, 0, 4, 0);
  } finally {
    closeSync(file);
  }
  return MAGICS.some((magic) => magic.every((byte, i) => head[i] === byte));
}
