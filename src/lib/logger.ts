/** The logger that every process opens once: lines for people on stderr, JSON lines in a file. */
import { createLogger, format, transports, type Logger as WinstonLogger } from 'winston';
import { describeError, errorCode } from './errors';

type LogFn = (message: string, fields?: Record<string, unknown>, error?: unknown) => void;

/**
 * Constant messages, data in fields. `error`: an operator must act. `warn`: the node coped, but an operator
 * should know. `info`: a step in a job's life. `debug`: details for finding the cause of a problem.
 */
export interface Logger {
  error: LogFn;
  warn: LogFn;
  info: LogFn;
  debug: LogFn;
  /** A logger whose every line carries these fields as well, usually `{module}` or `{jobId}`. */
  child(fields: Record<string, unknown>): Logger;
}

export interface LoggerOptions {
  level: 'error' | 'warn' | 'info' | 'debug';
  /** JSON lines go here as well, rotated at 20 MB, five files kept. */
  file?: string | undefined;
  /** Fields on every line, e.g. `{role: 'master'}`. */
  fields?: Record<string, unknown> | undefined;
}

// Field names whose values never reach a log. Keys are matched case-insensitively.
const SECRET_FIELD = /private_?key|password|secret|mnemonic|passphrase|token$/i;

/** Opens the process's logger: readable lines on stderr (stdout is for data), JSON lines in `file`. */
export function openLogger(options: LoggerOptions): Logger {
  const winston = createLogger({
    level: options.level,
    format: format.combine(format(redact)(), format.timestamp()),
    transports: [
      new transports.Console({
        stderrLevels: ['error', 'warn', 'info', 'debug'],
        format: format.printf(prettyLine),
      }),
      ...(options.file
        ? [
            new transports.File({
              filename: options.file,
              maxsize: 20_000_000,
              maxFiles: 5,
              tailable: true,
              format: format.json({ bigint: true }),
            }),
          ]
        : []),
    ],
  });
  return wrap(winston, options.fields ?? {});
}

/** A logger that writes nothing, for tests and for commands that print their own lines. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
};

function wrap(winston: WinstonLogger, base: Record<string, unknown>): Logger {
  const at =
    (level: string): LogFn =>
    (message, fields, error) => {
      const failure =
        error === undefined
          ? {}
          : { error: describeError(error), code: errorCode(error), stack: (error as Error)?.stack };
      winston.log({ level, message, ...base, ...fields, ...failure });
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (fields) => wrap(winston, { ...base, ...fields }),
  };
}

function redact(info: Record<string, unknown>) {
  for (const key of Object.keys(info)) if (SECRET_FIELD.test(key)) info[key] = '[redacted]';
  return info as never;
}

function prettyLine(info: Record<string, unknown>): string {
  const { timestamp, level, message, stack, code, ...fields } = info;
  const time = String(timestamp).slice(11, 19);
  const rest = Object.entries(fields)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : stringify(value)}`)
    .join(' ');
  return `${time} ${String(level).padEnd(5)} ${String(message)}${rest ? `  ${rest}` : ''}`;
}

function stringify(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? v.toString() : v)) ?? '';
}
