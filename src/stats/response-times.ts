import type { StatsCounts } from '../record/index.ts';
import type { ResponseTimes } from './report.ts';

export function responseTimes(buckets: StatsCounts['responses']): ResponseTimes {
  const answers = buckets.reduce((total, { responses }) => total + responses, 0);
  if (answers === 0) return { answers, averageMs: null, medianMs: null, p95Ms: null };
  const totalMs = buckets.reduce((total, { responseMs }) => total + responseMs, 0);
  return {
    answers,
    averageMs: Math.round(totalMs / answers),
    medianMs: quantile(buckets, answers / 2),
    p95Ms: quantile(buckets, answers * 0.95),
  };
}

/** The mean of the bucket in which the wanted one lies. */
function quantile(buckets: StatsCounts['responses'], rank: number): number {
  let seen = 0;
  for (const { responses, responseMs } of [...buckets].sort((a, b) => a.bucket - b.bucket)) {
    seen += responses;
    if (seen >= rank) return Math.round(responseMs / responses);
  }
  return 0;
}
