/** Options that all commands share, and parsers of option values. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseEmt } from '../domain/emt';
import { parseGasPrice } from '../domain/gas';

/** Options that every command accepts, before or after its name. */
export interface CommonOptions {
  config?: string | undefined;
  dataDir?: string | undefined;
  json?: boolean | undefined;
  logLevel?: 'error' | 'warn' | 'info' | 'debug' | undefined;
}

/** Options of commands that send transactions. */
export interface SendOptions extends CommonOptions {
  maxFeePerGas?: bigint | undefined;
}

const logLevels = ['error', 'warn', 'info', 'debug'] as const;

const common = [
  ['--config <file>', 'configuration file (default: config/<role>.json)'],
  ['--data-dir <dir>', 'directory with all state of the role (default: data/<role>)'],
  ['--json', 'print data as JSON on stdout'],
] as const;

/** Adds the common options, except those the command defines itself. */
export function addCommonOptions(command: Command): void {
  const has = (flags: string) => command.options.some((option) => option.long === flags.split(' ')[0]);
  for (const [flags, text] of common) if (!has(flags)) command.option(flags, text);
  if (!has('--log-level')) command.option('--log-level <level>', 'error, warn, info or debug', parseLogLevel);
}

/** The option of `SendOptions`. */
export function gasCap(): Option {
  const text = 'highest price per gas to offer, e.g. 800gwei (default: maxFeePerGas of the configuration)';
  return new Option('--max-fee-per-gas <price>', text).argParser(gasPrice);
}

/** Where a command's Python child computes. */
export function device(): Option {
  return new Option('--device <device>', 'cpu, cuda or cuda:n').default('cpu').argParser((text) => {
    if (/^(cpu|cuda|cuda:\d+)$/.test(text)) return text;
    throw new InvalidArgumentError('It must be cpu, cuda or cuda:n.');
  });
}

/** Returns the end of a command's `--help`: commands to copy. */
export function example(...lines: string[]): string {
  return `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
}

/** Commander parser of a whole number ≥ `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (/^\d+$/.test(text) && Number(text) >= min) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from ${min}.`);
  };
}

/** Commander parser of an amount of EMT with its unit, e.g. `12.5emt` or `5wei`. */
export function amount(text: string): bigint {
  const wei = parseEmt(text);
  if (wei !== undefined) return wei;
  if (/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError(`Name the unit: ${text}emt or ${text}wei?`);
  throw new InvalidArgumentError('It must be an amount with its unit, e.g. 20emt or 5wei.');
}

function gasPrice(text: string): bigint {
  const wei = parseGasPrice(text);
  if (wei !== undefined) return wei;
  throw new InvalidArgumentError('It must be a price with its unit, e.g. 500gwei or 7wei.');
}

/** As `amount`, but not zero: a command that adds nothing would only cost gas. */
export function positiveAmount(text: string): bigint {
  const wei = amount(text);
  if (wei > 0n) return wei;
  throw new InvalidArgumentError('It must be more than nothing.');
}

/** Commander parser of a count that may be larger than JavaScript's exact numbers. */
export function wholeCount(text: string): bigint {
  if (/^\d+$/.test(text) && BigInt(text) > 0n) return BigInt(text);
  throw new InvalidArgumentError('It must be a whole number from 1.');
}

/** Commander parser of a number from `min` to `max`. */
export function numberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
  };
}

/** Commander parser of an option that may be given several times. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** As `collect`, for the addresses that a configuration's `endpoint` may hold. */
export function collectUrl(text: string, before: string[] = []): string[] {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return [...before, text];
  throw new InvalidArgumentError('It must be an http:// or https:// address.');
}

/** Commander parser of a configuration's `network`, which becomes the name of a file. */
export function networkName(text: string): string {
  if (/^[\w-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a name of letters, digits, - and _.');
}

function parseLogLevel(text: string): (typeof logLevels)[number] {
  const level = logLevels.find((known) => known === text);
  if (!level) throw new InvalidArgumentError(`It must be one of ${logLevels.join(', ')}.`);
  return level;
}
