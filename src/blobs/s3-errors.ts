/** What can go wrong with an S3 service, each with what its operator, or the storage's, can do about it. */
import { AppError, describeError } from '../lib/errors';

export type S3Error =
  | { code: 's3/no-bucket'; status: 503; bucket: string; service: string }
  | { code: 's3/bad-credentials'; status: 503; bucket: string; service: string; reason: string }
  | { code: 's3/denied'; status: 503; bucket: string; service: string }
  | { code: 's3/wrong-region'; status: 503; bucket: string; service: string }
  | { code: 's3/clock'; status: 503; service: string }
  | { code: 's3/full'; status: 507; bucket: string; service: string }
  | { code: 's3/unreachable'; status: 503; service: string }
  | { code: 's3/unavailable'; status: 503; service: string; reason: string }
  | { code: 's3/not-s3'; status: 503; service: string; reason: string }
  | { code: 's3/upload-lost'; status: 503; bucket: string; service: string }
  | { code: 's3/failed'; status: 503; bucket: string; service: string; reason: string };

/**
 * Errors after which it makes no sense to start: somebody has to change the configuration, or the bucket.
 */
export const LASTING_S3_ERRORS = ['s3/no-bucket', 's3/bad-credentials', 's3/denied', 's3/wrong-region', 's3/not-s3'];

/** Names of errors, as services send them in XML or the SDK makes them up. */
const NAMES: Readonly<Record<string, S3Error['code']>> = {
  NoSuchBucket: 's3/no-bucket',
  InvalidAccessKeyId: 's3/bad-credentials',
  SignatureDoesNotMatch: 's3/bad-credentials',
  ExpiredToken: 's3/bad-credentials',
  InvalidToken: 's3/bad-credentials',
  CredentialsProviderError: 's3/bad-credentials',
  TokenProviderError: 's3/bad-credentials',
  AccessDenied: 's3/denied',
  AllAccessDisabled: 's3/denied',
  AccountProblem: 's3/denied',
  AuthorizationHeaderMalformed: 's3/wrong-region',
  PermanentRedirect: 's3/wrong-region',
  IllegalLocationConstraintException: 's3/wrong-region',
  RequestTimeTooSkewed: 's3/clock',
  RequestExpired: 's3/clock',
  QuotaExceeded: 's3/full',
  XMinioStorageFull: 's3/full',
  NoSuchUpload: 's3/upload-lost',
  InvalidPart: 's3/upload-lost',
  InvalidPartOrder: 's3/upload-lost',
  TimeoutError: 's3/unreachable',
  NotS3: 's3/not-s3',
};

/** Names of errors that no network has. */
const OF_PROGRAMS = ['TypeError', 'RangeError', 'SyntaxError', 'ReferenceError'];

const BY_STATUS: Readonly<Record<number, S3Error['code']>> = {
  301: 's3/wrong-region',
  401: 's3/denied',
  403: 's3/denied',
  429: 's3/unavailable',
  507: 's3/full',
};

/** The name of an error of the SDK, which is the service's own where it sent one. */
export function errorName(error: unknown): string {
  const name = (error as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : '';
}

/**
 * Returns what an error of the SDK means here. Its message holds no secret: services name the public key at
 * most.
 */
export function toS3Error(
  error: unknown,
  { bucket, endpoint, region }: { bucket: string; endpoint?: string | undefined; region: string },
): unknown {
  if (error instanceof AppError) return error;
  const service = endpoint ?? `Amazon S3 in ${region}`;
  const reason = `${errorName(error)}: ${describeError(error)}`.slice(0, 300);
  return describe(codeOf(error), { bucket, service, region, reason }, error);
}

function codeOf(error: unknown): S3Error['code'] {
  const known = NAMES[errorName(error)];
  if (known) return known;
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  // Without a status there was no answer: name resolution, connection and TLS have many errors.
  if (status === undefined) return OF_PROGRAMS.includes(errorName(error)) ? 's3/failed' : 's3/unreachable';
  // An answer that the SDK cannot read, such as a page.
  if (status < 300 && errorName(error) === 'Error') return 's3/not-s3';
  return BY_STATUS[status] ?? (status >= 500 ? 's3/unavailable' : 's3/failed');
}

function describe(
  code: S3Error['code'],
  at: { bucket: string; service: string; region: string; reason: string },
  cause: unknown,
): AppError<S3Error> {
  const { bucket, service, region, reason } = at;
  const make = (detail: S3Error, message: string) => new AppError<S3Error>(detail, message, { cause });
  const common = { status: 503 as const, bucket, service };
  switch (code) {
    case 's3/no-bucket':
      return make({ code, ...common }, `${service} has no bucket ${bucket}; create it, or correct s3.bucket.`);
    case 's3/bad-credentials':
      return make(
        { code, ...common, reason },
        `${service} does not accept the key of this storage (${reason}); correct s3.accessKeyId and s3.secretAccessKeyFile, or the AWS_… variables.`,
      );
    case 's3/denied':
      return make(
        { code, ...common },
        `${service} denies this storage what it asks of bucket ${bucket}; allow its key to list the bucket and its uploads, and to get, put, delete and abort what is in it.`,
      );
    case 's3/wrong-region':
      return make(
        { code, ...common },
        `Bucket ${bucket} is not in region ${region} of ${service} (${reason}); correct s3.region.`,
      );
    case 's3/clock':
      return make(
        { code, status: 503, service },
        `The clocks of this machine and of ${service} differ by too much; set this machine's clock by NTP.`,
      );
    case 's3/full':
      return make(
        { code, ...common, status: 507 },
        `Bucket ${bucket} of ${service} is full; make room or raise its quota.`,
      );
    case 's3/unreachable':
      return make(
        { code, status: 503, service },
        `${service} cannot be reached (${describeError(cause)}); start it, or correct s3.endpoint.`,
      );
    case 's3/unavailable':
      return make(
        { code, status: 503, service, reason },
        `${service} cannot serve at the moment (${reason}); wait for it.`,
      );
    case 's3/not-s3':
      return make(
        { code, status: 503, service, reason },
        `What answers at ${service} is no S3 service; correct s3.endpoint.`,
      );
    case 's3/upload-lost':
      return make({ code, ...common }, 'The unfinished upload is no longer in the bucket; it starts again.');
    case 's3/failed':
      return make({ code, ...common, reason }, `${service} failed (${reason}); see its log.`);
  }
}
