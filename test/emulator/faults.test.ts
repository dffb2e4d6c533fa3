import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Emulator, RuleAction } from '../../src/emulator/index.ts';
import { accepted, control, CUSTOMER, emulator, eventually, post, Receiver, text, type Answered } from './support.ts';

/** What a client sees: the answer, or that there was none. */
async function seen(target: Emulator): Promise<Answered | 'broken'> {
  return await post(target, text()).catch(() => 'broken' as const);
}

const entry = (target: Emulator): object | undefined => target.ledger().at(-1);

describe('failure rules', () => {
  it('answer with a code, its status and details', async () => {
    const target = await emulator();
    target.addRule({ action: { kind: 'error', code: 131000 } });
    expect(await seen(target)).toMatchObject({ status: 500, body: { error: { code: 131000 } } });
    target.reset(['rules']);
    target.addRule({ action: { kind: 'error', code: 131057, httpStatus: 503, details: 'wait', transient: true } });
    expect(await seen(target)).toMatchObject({
      status: 503,
      body: { error: { code: 131057, is_transient: true, error_data: { details: 'wait' } } },
    });
    expect(entry(target)).toMatchObject({ taken: false, outcome: 'fault', code: 131057, rule: 'rule-2' });
  });

  it.each<[RuleAction, boolean]>([
    [{ kind: 'http', status: 502, body: 'html', taken: false }, false],
    [{ kind: 'http', status: 503, body: 'empty', taken: true }, true],
    [{ kind: 'http', status: 200, body: 'text', taken: true }, true],
    [{ kind: 'no-id', body: 'no-messages' }, true],
    [{ kind: 'no-id', body: 'html' }, true],
  ])('answer without envelope or id: %j', async (action, taken) => {
    const target = await emulator();
    target.addRule({ action });
    const answer = await seen(target);
    if (typeof answer === 'string') throw new Error(answer);
    expect(answer.status).toBe(action.kind === 'http' ? action.status : 200);
    expect(answer.text).not.toContain('wamid');
    expect(answer.body.error).toBeUndefined();
    expect(entry(target)).toMatchObject({ taken, outcome: 'fault', httpStatus: answer.status });
  });

  it.each<[RuleAction, boolean]>([
    [{ kind: 'reset', when: 'before' }, false],
    [{ kind: 'reset', when: 'after' }, true],
    [{ kind: 'reset', when: 'mid-answer' }, true],
  ])('break the connection: %j', async (action, taken) => {
    const target = await emulator();
    target.addRule({ action });
    expect(await seen(target)).toBe('broken');
    expect(entry(target)).toMatchObject({ taken, outcome: 'fault', httpStatus: 0 });
    await eventually(() => target.stats().inFlight === 0);
  });

  it.each<[RuleAction, boolean]>([
    [{ kind: 'hang', when: 'before' }, false],
    [{ kind: 'hang', when: 'after' }, true],
  ])('never answer: %j', async (action, taken) => {
    const target = await emulator();
    target.addRule({ action });
    const answer = seen(target);
    // Only when the request has arrived is silence an answer.
    await eventually(() => target.ledger().length === 1);
    expect(await Promise.race([answer, delay(300, 'silent')])).toBe('silent');
    expect(entry(target)).toMatchObject({ taken, httpStatus: 0 });
    expect(target.stats().inFlight).toBe(1);
    // Stopping ends the open request: the test would hang here otherwise.
    await target.stop();
  });

  it('answer late, and take the message at once', async () => {
    const target = await emulator();
    target.addRule({ action: { kind: 'slow', delayMs: 2500 } });
    const startedAtMs = Date.now();
    const sending = accepted(target, text());
    await eventually(() => target.ledger().length === 1);
    expect(target.stats().inFlight).toBe(1);
    await sending;
    expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(2495);
  });

  it('fail later, with a failed status that carries the code and the tag', async () => {
    const receiver = await Receiver.start();
    const target = await emulator({ webhookUrl: receiver.url });
    target.addRule({ action: { kind: 'fail-later', code: 131026 } });
    const id = await accepted(target, text('x', { biz_opaque_callback_data: 't' }));
    await receiver.until(() => receiver.statuses.length > 0);
    expect(receiver.statuses).toMatchObject([
      { id, status: 'failed', errors: [{ code: 131026 }], biz_opaque_callback_data: 't' },
    ]);
    expect(entry(target)).toMatchObject({ taken: true, outcome: 'accepted', code: 131026 });
  });

  it('let the status of a message whose answer was lost through', async () => {
    const receiver = await Receiver.start();
    const target = await emulator({ webhookUrl: receiver.url });
    target.addRule({ action: { kind: 'reset', when: 'after' } });
    expect(await post(target, text('x', { biz_opaque_callback_data: 'lost' })).catch(() => 'broken')).toBe('broken');
    await receiver.until(() => receiver.statuses.length > 0);
    expect(receiver.statuses[0]).toMatchObject({ status: 'sent', biz_opaque_callback_data: 'lost' });
  });

  it('apply by recipient, type, tag, text, nth, every and times', async () => {
    const target = await emulator();
    const failed = async (body: unknown): Promise<boolean> => (await post(target, body)).status !== 200;
    const action = { kind: 'error', code: 131016 } as const;
    const tried = async (rule: object, bodies: unknown[]): Promise<boolean[]> => {
      target.reset(['rules']);
      const { status } = await control(target, 'POST', '/rules', { ...rule, action });
      expect(status).toBe(201);
      const results = [];
      for (const body of bodies) results.push(await failed(body));
      return results;
    };
    const other = text('x', { to: '+491700000000' });
    expect(await tried({ match: { recipient: CUSTOMER } }, [text(), other])).toEqual([true, false]);
    expect(await tried({ match: { type: 'image' } }, [text()])).toEqual([false]);
    expect(await tried({ match: { textIncludes: 'boom' } }, [text('x'), text('boom')])).toEqual([false, true]);
    const tagged = text('x', { biz_opaque_callback_data: 'abc' });
    expect(await tried({ match: { tagIncludes: 'b' } }, [text(), tagged])).toEqual([false, true]);
    expect(await tried({ nth: 2 }, [text(), text(), text()])).toEqual([false, true, false]);
    expect(await tried({ every: 2 }, [text(), text(), text(), text()])).toEqual([false, true, false, true]);
    expect(await tried({ times: 1 }, [text(), text()])).toEqual([true, false]);
    expect(await tried({ probability: 0 }, [text()])).toEqual([false]);
    const { body } = await control(target, 'GET', '/rules');
    expect(body).toMatchObject({ rules: [{ matched: 1, applied: 0 }] });
  });

  it('are refused with the field when they are not valid', async () => {
    const target = await emulator();
    const answer = await control(target, 'POST', '/rules', { action: { kind: 'explode' } });
    expect(answer).toMatchObject({ status: 400, body: { error: { problems: [{ field: 'action.kind' }] } } });
    expect((await control(target, 'DELETE', '/rules/none')).status).toBe(404);
  });
});
