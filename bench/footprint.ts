/*
 * What one message costs in processor time and leaves behind in Redis' file and in PostgreSQL, for docs/sizing.md:
 * `npm run bench:footprint`. Messages: the first argument.
 */
import { writeReport } from './many/report.ts';
import { Stage } from './many/stage.ts';

const MESSAGES = Number(process.argv[2] ?? 10_000);

const stage = await Stage.open(1);
try {
  const footprint = await stage.footprint(MESSAGES);
  console.log(JSON.stringify(footprint, null, 1));
  writeReport('footprint', {
    command: 'npm run bench:footprint',
    messages: MESSAGES,
    latencyMs: [50, 100],
    ...footprint,
  });
} finally {
  await stage.close();
}
