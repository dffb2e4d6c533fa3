import { startEmbedded } from '../../src/embedded/index.ts';

/*
 * A program that owns embedded servers, for tests that kill it. Prints one line of JSON when they run (or one with the
 * error), and ends in the way that the third argument names: `wait` until a signal, `exit` at once without stopping.
 */
const [dataDir = '', which = 'both', ending = 'wait'] = process.argv.slice(2);

try {
  const services = await startEmbedded({
    dataDir,
    redis: which !== 'postgres',
    postgres: which !== 'redis',
    onLog: (sentence) => console.error(sentence),
  });
  const { redisUrl, databaseUrl, pids } = services;
  console.log(JSON.stringify({ redisUrl, databaseUrl, pids }));
  if (ending === 'exit') process.exit(0);
  process.once('SIGTERM', () => {
    void services.stop().then(() => process.exit(0));
  });
  setInterval(() => undefined, 60_000);
} catch (error) {
  console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  process.exit(3);
}
