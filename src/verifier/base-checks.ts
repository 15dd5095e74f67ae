/** What a manifest must say of the base that its job started from; needs no other file. */
import { isCommit, parseBaseReference } from '../domain/base-reference';
import type { Manifest } from '../protocol/manifest';

/** Returns what is wrong, in words; undefined if all holds. The parameters are those of the request. */
export function findBaseProblem({ params, base }: Pick<Manifest, 'params' | 'base'>): string | undefined {
  if (params.tune === 'none') return base && 'a base is named, and the job has none';
  if (!base) return 'the base is not named';
  if (base.reference !== params.base) return 'the base is not the one requested';
  const asked = parseBaseReference(params.base);
  if (asked?.kind === 'list') {
    if (base.commit !== undefined) return 'a commit is named, and the base is of no hub';
    return asked.sha256 === base.list ? undefined : 'the files of the base are not those requested';
  }
  if (!isCommit(base.commit)) return 'the base is not pinned to a commit of the hub';
  const isOther = isCommit(asked?.revision) && asked.revision !== base.commit;
  return isOther ? 'the base is of another commit than the one requested' : undefined;
}
