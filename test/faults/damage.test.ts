import { expect } from 'vitest';
import { faultTest } from './harness/fault-test.ts';
import { acceptThrough } from './harness/load.ts';
import { scaled } from './harness/settings.ts';

/* A disk that loses or changes what it had promised to keep: nobody can undo that, and nobody may make it worse. */

faultTest(
  'F16',
  'the end of the log is torn off: what is whole is loaded, and whoever asks again with his key has everything sent once',
  { workers: 0, limits: { pairGapMs: 0 } },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 60 });
    const accept = acceptThrough(world.queue, world.tenantConcurrency);
    const cuts = scaled(40, 6);
    let [cutBytes, missing] = [0, 0];
    for (let cut = 0; cut < cuts; cut += 1) {
      await load.run(10, 400);
      await world.redis.kill();
      const bytes = world.random.whole(1, 400);
      world.redis.damage((log) => log.subarray(0, log.length - bytes));
      cutBytes += bytes;
      await world.redis.start();
      const known = new Set(load.ops.map(({ id }) => id));
      // Every client repeats its last message, as after any answer that it is not sure of.
      for (const op of load.ops.slice(-10)) {
        const answer = await accept(op);
        if (answer.kind !== 'ok') throw new Error(`${op.op} was not taken again`);
        if (known.has(answer.id)) continue;
        missing += 1;
        op.id = answer.id;
        op.ids.add(answer.id);
      }
    }
    report('cuts', cuts);
    report('bytes cut', cutBytes);
    report('accepted and torn off', missing);
    await Promise.all([world.startWorker(), world.startWorker()]);
    return (verdict, { counters, ops }) => {
      expect(counters?.accepted).toBe(ops.length);
      // At most 400 bytes are the end of one script call, and that takes in one tick's messages.
      expect(missing).toBeLessThanOrEqual(10 * cuts);
      expect(missing).toBeGreaterThan(0);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F17',
  'bits flip in stored messages: none of them is sent, each fails with its reason, and all others go',
  { workers: 0 },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 100 });
    await load.run(100, 400);
    const flipped = load.ops.filter((_, at) => at % 10 === 3).slice(0, scaled(100, 10));
    await world.redis.kill();
    world.redis.damage((log) => {
      for (const { op } of flipped) {
        // In its conversation, and not in the event that tells of it: the accept itself is on record.
        const text = Buffer.from(`"body":"${op}"`);
        const lane = log.indexOf(`}c:s1|`);
        let at = log.indexOf(text, lane);
        while (at >= 0 && log.subarray(Math.max(0, at - 400), at).lastIndexOf('RPUSH') < 0)
          at = log.indexOf(text, at + 1);
        expect(at, `${op} is in the log`).toBeGreaterThan(0);
        const letter = at + text.length - 3;
        log[letter] = (log[letter] ?? 0) ^ 1;
      }
      return log;
    });
    await world.redis.start();
    await Promise.all([world.startWorker(), world.startWorker()]);
    report('messages damaged', flipped.length);
    return (verdict, { ledger, histories }) => {
      const ids = new Set(flipped.map(({ id }) => id));
      const sent = ledger.filter(({ messageId }) => ids.has(messageId));
      report('of them sent', sent.length);
      expect(sent).toEqual([]);
      expect(verdict.failed).toBe(flipped.length);
      for (const id of ids) expect(histories?.get(id ?? '')?.end).toBe('failed');
      expect(ledger).toHaveLength(load.ops.length - flipped.length);
    };
  },
);

faultTest(
  'F17-middle',
  'garbage in the middle of the log: Redis refuses to load it rather than to guess, and works again from the copy',
  { workers: 0 },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 40 });
    await load.run(40, 400);
    await world.redis.kill();
    let whole = Buffer.alloc(0);
    world.redis.damage((log) => {
      whole = Buffer.from(log);
      log.fill('garbage', Math.floor(log.length / 2), Math.floor(log.length / 2) + 700);
      return log;
    });
    const refusal = await world.redis.start().then(
      () => '',
      (error: unknown) => String(error),
    );
    report('refused', refusal === '' ? 'no' : 'yes');
    expect(refusal).not.toBe('');
    world.redis.damage(() => whole);
    await world.redis.start();
    await Promise.all([world.startWorker(), world.startWorker()]);
    return (verdict, { ops }) => {
      expect(verdict.accepted).toBe(ops.length);
      expect(verdict.takenMax).toBe(1);
    };
  },
);
