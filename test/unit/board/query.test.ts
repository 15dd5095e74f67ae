/** The query of the board's list of jobs. */
import fc from 'fast-check';
import { chainStates } from '../../../src/domain/job';
import { BoardQuery, queryProblems } from '../../../src/protocol/board';

const problemsOf = (query: Record<string, unknown>) => {
  const parsed = BoardQuery.safeParse(query);
  return parsed.success ? [] : queryProblems(parsed.error.issues, query);
};

describe('BoardQuery', () => {
  test('empty query: the first page of all jobs, newest first', () => {
    expect(BoardQuery.parse({})).toEqual({ page: 1, pageSize: 50, sort: 'newest' });
  });

  test('several states in any case: all are taken', () => {
    expect(BoardQuery.parse({ status: 'requested, Processing', page: '3', pageSize: '200', sort: 'fee' })).toEqual({
      status: ['REQUESTED', 'PROCESSING'],
      page: 3,
      pageSize: 200,
      sort: 'fee',
    });
  });

  test.each<[Record<string, unknown>, string]>([
    [{ page: '0' }, 'page must be a whole number from 1 to 100000, not "0"'],
    [{ page: '-1' }, 'page must be a whole number from 1 to 100000, not "-1"'],
    [{ page: '1e3' }, 'page must be a whole number from 1 to 100000, not "1e3"'],
    [{ page: '' }, 'page must be a whole number from 1 to 100000, not ""'],
    [{ page: ['1', '2'] }, 'page must be a whole number from 1 to 100000, not ["1","2"]'],
    [{ page: '100001' }, 'page must be a whole number from 1 to 100000, not "100001"'],
    [{ pageSize: '201' }, 'pageSize must be a whole number from 1 to 200, not "201"'],
    [{ sort: 'best' }, 'sort must be one of newest, fee, deadline, not "best"'],
    [{ status: ['REQUESTED'] }, 'status must be given once; separate several values by commas, not ["REQUESTED"]'],
    [{ state: 'REQUESTED' }, '"state" is not a parameter; the parameters are status, page, pageSize, sort'],
  ])('%j: a problem that names the value', (query, problem) => {
    expect(problemsOf(query)).toEqual([problem]);
  });

  test('several unknown states: one problem that names them', () => {
    const problems = problemsOf({ status: 'SOON,LATER' });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^status must be one of NONE, REQUESTED.*, not "SOON,LATER"$/);
  });

  test('any query: numbers in their bounds, or short problems', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.integer().map(String),
      fc.constantFrom(...chainStates),
      fc.array(fc.string()),
    );
    const query = fc.dictionary(fc.constantFrom('status', 'page', 'pageSize', 'sort', 'other'), anything);
    fc.assert(
      fc.property(query, (asked) => {
        const parsed = BoardQuery.safeParse(asked);
        if (parsed.success) {
          expect(parsed.data.page).toBeGreaterThanOrEqual(1);
          expect(parsed.data.pageSize).toBeLessThanOrEqual(200);
        } else {
          for (const problem of problemsOf(asked)) expect(problem.length).toBeLessThan(260);
        }
      }),
    );
  });
});
