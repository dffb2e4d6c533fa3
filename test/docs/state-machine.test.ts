import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MESSAGE_STATUSES, type MessageStatus } from '../../src/model/message.ts';
import { newId } from '../../src/util/ids.ts';
import { accepted, BASE_MS, ERROR, sent, status } from '../record/support/events.ts';
import { openTestRecord, logOf, recordAll } from '../record/support/record.ts';
import { testDatabase } from '../support/services.ts';

/*
 * Compares the diagrams of docs/state-machine.md with the code. Every call in the scripts that changes a counter or a
 * flight must stand in a table below with the transitions that it means: a new or changed call fails here first, and
 * then the diagram must agree.
 */

const root = fileURLToPath(new URL('../../', import.meta.url));
const luaDir = join(root, 'src/engine/lua');
const page = readFileSync(join(root, 'docs/state-machine.md'), 'utf8');

type Transition = `${string} → ${string}`;

/** The arrows of the diagram under a heading. */
function arrowsUnder(heading: string): Transition[] {
  const section = page.slice(page.indexOf(`## ${heading}\n`));
  const diagram = /```mermaid\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const arrows = [...diagram.matchAll(/^ {2}(\S+) --> (\w+|\[\*\])/gm)];
  return arrows.map(([, from = '', to = '']) => `${from} → ${to}` as const).sort();
}

interface Site {
  readonly file: string;
  readonly code: string;
  readonly means: readonly Transition[];
}

/** Every piece of a script that `pattern` finds outside comments and definitions, as `file: code`. */
function sitesOf(pattern: RegExp): string[] {
  const files = readdirSync(luaDir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.lua'));
  return files
    .sort()
    .flatMap((file) =>
      readFileSync(join(luaDir, file), 'utf8')
        .replaceAll(/--\[\[[\s\S]*?\]\]/g, '')
        .split('\n')
        .filter((line) => !/^\s*--|^local function /.test(line))
        .flatMap((line) => line.match(pattern) ?? [])
        .map((code) => `${file}: ${code.trim()}`),
    )
    .sort();
}

function namesOf(sites: readonly Site[]): string[] {
  return sites.map(({ file, code }) => `${file}: ${code}`).sort();
}

function meaningOf(sites: readonly Site[]): Transition[] {
  return [...new Set(sites.flatMap(({ means }) => means))].sort();
}

const COUNTER_SITES: readonly Site[] = [
  // The total, not a place.
  { file: 'accept.lua', code: "count('accepted', #stored)", means: [] },
  { file: 'accept.lua', code: "count('scheduled', scheduled)", means: ['[*] → scheduled'] },
  { file: 'accept.lua', code: "count('queued', #stored - scheduled)", means: ['[*] → queued'] },
  {
    file: 'includes/cancelling.lua',
    code: "move(kind == 'S' and 'scheduled' or 'deferred', 'cancelled')",
    means: ['scheduled → cancelled', 'deferred → cancelled'],
  },
  // `from` is what the flight says: deferred in state D, else queued.
  {
    file: 'includes/cancelling.lua',
    code: "move(f.state == 'D' and 'deferred' or 'queued', 'cancelled')",
    means: ['queued → cancelled', 'deferred → cancelled'],
  },
  {
    file: 'includes/cancelling.lua',
    code: "bury(t, h.id, from, 'cancelled', 'C', cancel_detail)",
    means: ['queued → cancelled', 'deferred → cancelled'],
  },
  // How often a sender's circuit opened and closed: no message moves by it.
  { file: 'includes/circuit.lua', code: "count('circuitOpened', 1)", means: [] },
  { file: 'includes/circuit.lua', code: "count('circuitClosed', 1)", means: [] },
  // As above: a message that was deferred at its place goes from there.
  {
    file: 'includes/dispatch.lua',
    code: "move(from, 'inFlight')",
    means: ['queued → inFlight', 'deferred → inFlight'],
  },
  { file: 'includes/flight.lua', code: "move('inFlight', 'queued')", means: ['inFlight → queued'] },
  // `from` is the kind of what was parked: scheduled, deferred or held.
  {
    file: 'includes/flight.lua',
    code: "move(from, 'queued')",
    means: ['scheduled → queued', 'deferred → queued', 'held → queued'],
  },
  // A status that came after the wait for it, before the message went again.
  { file: 'includes/flight.lua', code: "move(from, 'sent')", means: ['queued → sent', 'deferred → sent'] },
  {
    file: 'includes/flight.lua',
    code: "bury(t, f.id, from, 'sent', 'S', sub(text, #f.id + 2))",
    means: ['queued → sent', 'deferred → sent'],
  },
  { file: 'includes/flight.lua', code: "move('unknown', 'sent')", means: ['unknown → sent'] },
  { file: 'includes/flight.lua', code: "move('held', 'sent')", means: ['held → sent'] },
  // In end_damaged(): wherever it stood, nobody can read its header any more.
  {
    file: 'includes/place.lua',
    code: "move(from, 'failed')",
    means: [
      'queued → failed',
      'scheduled → failed',
      'deferred → failed',
      'inFlight → failed',
      'unknown → failed',
      'held → failed',
    ],
  },
  // Inside bury(): its callers stand here themselves.
  { file: 'includes/place.lua', code: 'move(from, to)', means: [] },
  {
    file: 'includes/place.lua',
    code: "move(f and f.state == 'D' and 'deferred' or 'queued', 'expired')",
    means: ['queued → expired', 'deferred → expired'],
  },
  { file: 'includes/settle.lua', code: "move('inFlight', 'sent')", means: ['inFlight → sent'] },
  {
    file: 'includes/settle.lua',
    code: "move('inFlight', kind == 'S' and 'sent' or 'failed')",
    means: ['inFlight → sent', 'inFlight → failed'],
  },
  { file: 'includes/settle.lua', code: "move('inFlight', 'unknown')", means: ['inFlight → unknown'] },
  { file: 'includes/settle.lua', code: "move('inFlight', 'deferred')", means: ['inFlight → deferred'] },
  { file: 'includes/settle.lua', code: "move('inFlight', 'deferred')", means: ['inFlight → deferred'] },
  { file: 'includes/settle.lua', code: "move('inFlight', 'queued')", means: ['inFlight → queued'] },
  { file: 'includes/timers.lua', code: "move('unknown', 'held')", means: ['unknown → held'] },
  { file: 'includes/timers.lua', code: "move('unknown', 'queued')", means: ['unknown → queued'] },
  {
    file: 'includes/timers.lua',
    code: "move(kind == 'S' and 'scheduled' or 'deferred', 'expired')",
    means: ['scheduled → expired', 'deferred → expired'],
  },
  {
    file: 'includes/timers.lua',
    code: "bury(t, id, f and f.id == id and f.state == 'D' and 'deferred' or 'queued', 'expired', 'X')",
    means: ['queued → expired', 'deferred → expired'],
  },
  { file: 'reclaim.lua', code: "move('inFlight', 'unknown')", means: ['inFlight → unknown'] },
  // A failure that was logged from outside: the message is new, and its fast attempts were made elsewhere.
  { file: 'revive.lua', code: "count('accepted', 1)", means: [] },
  { file: 'revive.lua', code: "count('deferred', 1)", means: ['[*] → deferred'] },
  // One that the record has and Redis has lost.
  { file: 'revive.lua', code: "count('accepted', 1)", means: [] },
  { file: 'revive.lua', code: "count('deferred', 1)", means: ['[*] → deferred'] },
  { file: 'revive.lua', code: "count('failed', 1)", means: ['[*] → failed'] },
  // `from` is failed, or sent when a status reported the failure later.
  { file: 'revive.lua', code: "move(from, 'deferred')", means: ['failed → deferred', 'sent → deferred'] },
  // How often a message came back from there, so that a count of ends never shrinks; it moves nothing.
  { file: 'revive.lua', code: "count('returned:' .. from, 1)", means: [] },
  { file: 'revive.lua', code: "move('held', 'failed')", means: ['held → failed'] },
  { file: 'revive.lua', code: "move('deferred', 'sent')", means: ['deferred → sent'] },
  { file: 'restart.lua', code: "move('unknown', 'queued')", means: ['unknown → queued'] },
  { file: 'skip.lua', code: "move('queued', 'cancelled')", means: ['queued → cancelled'] },
  { file: 'skip.lua', code: "bury(t, h.id, 'queued', 'cancelled', 'C', cancel_detail)", means: ['queued → cancelled'] },
];

const FLIGHT_SITES: readonly Site[] = [
  // It was waiting at the head; in flight and unknown it cannot be cancelled.
  { file: 'includes/cancelling.lua', code: 'drop_head(s, t, lane)', means: ['R → [*]', 'D → [*]'] },
  // A reset of the stream to its beginning: nobody waits for evidence any longer.
  { file: 'restart.lua', code: "f.state = 'R'", means: ['U → R', 'H → R'] },
  { file: 'includes/dispatch.lua', code: "state = 'G'", means: ['[*] → G', 'R → G', 'D → G'] },
  { file: 'includes/flight.lua', code: "f.state = 'R'", means: ['G → R'] },
  // In give_back(): no attempt was ever made.
  { file: 'includes/flight.lua', code: 'drop_flight(lane)', means: ['G → [*]'] },
  // In take_head() and drop_head(): their callers stand here themselves.
  { file: 'includes/flight.lua', code: 'drop_flight(lane)', means: [] },
  { file: 'includes/flight.lua', code: 'take_head(s, t, lane)', means: [] },
  { file: 'includes/flight.lua', code: 'drop_flight(lane)', means: [] },
  // In prove_waiting().
  { file: 'includes/flight.lua', code: 'drop_head(s, t, lane)', means: ['R → [*]', 'D → [*]'] },
  {
    file: 'includes/flight.lua',
    code: 'drop_head(s, t, lane)',
    means: ['U → [*]', 'H → [*]', 'K → [*]', 'J → [*]'],
  },
  // In live_head(): the head was cancelled, has expired, was proved sent, or is damaged.
  { file: 'includes/place.lua', code: 'drop_flight(lane)', means: ['R → [*]', 'D → [*]'] },
  { file: 'includes/settle.lua', code: 'drop_head(s, t, lane)', means: ['G → [*]'] },
  { file: 'includes/settle.lua', code: 'drop_head(s, t, lane)', means: ['G → [*]'] },
  { file: 'includes/settle.lua', code: 'take_head(s, t, lane)', means: ['G → [*]'] },
  {
    file: 'includes/settle.lua',
    code: "f.state = (f.ambiguous >= 2 or after_wait == 'hold') and 'H' or 'U'",
    means: ['G → H', 'G → U'],
  },
  { file: 'includes/settle.lua', code: "f.state = 'D'", means: ['G → D'] },
  { file: 'includes/settle.lua', code: "f.state = 'R'", means: ['G → R'] },
  { file: 'includes/timers.lua', code: 'take_head(s, t, lane)', means: ['H → [*]'] },
  { file: 'includes/timers.lua', code: "f.state = f.state == 'K' and 'U' or 'H'", means: ['K → U', 'J → H'] },
  { file: 'includes/timers.lua', code: "f.state = 'R'", means: ['U → R'] },
  {
    file: 'reclaim.lua',
    code: "f.state = (f.ambiguous >= 2 or after_wait == 'hold') and 'J' or 'K'",
    means: ['G → J', 'G → K'],
  },
];

/** The engine's counters in the words that people see. */
const SHOWN: Readonly<Record<string, string>> = { inFlight: 'sending', held: 'unknown' };
const shown = (place: string) => SHOWN[place] ?? place;

test('every counter change of the scripts is known here, and the diagram of the counters says the same', () => {
  expect(namesOf(COUNTER_SITES)).toEqual(sitesOf(/\b(?:move|bury|count)\(.*\)/g));
  expect(arrowsUnder('What the engine counts')).toEqual(meaningOf(COUNTER_SITES));
});

test('every state change of a flight is known here, and the diagram of the flight says the same', () => {
  const pattern = /f\.state = .*|(?:drop|take)_head\(s, t, lane\)|drop_flight\(lane\)|state = 'G'/g;
  expect(namesOf(FLIGHT_SITES)).toEqual(sitesOf(pattern));
  expect(arrowsUnder("A conversation's flight")).toEqual(meaningOf(FLIGHT_SITES));
});

test('the diagram of the message shows every status, as the engine and the record change it', async () => {
  const arrows = arrowsUnder('What people see');
  const states = new Set(arrows.flatMap((arrow) => arrow.split(' → ')).filter((state) => state !== '[*]'));
  expect([...states].sort()).toEqual([...MESSAGE_STATUSES].sort());
  const ofEngine = meaningOf(COUNTER_SITES)
    .map((transition) => transition.split(' → ').map(shown))
    .filter(([from, to]) => from !== to)
    .map(([from = '', to = '']): Transition => `${from} → ${to}`);
  expect(arrows).toEqual([...new Set([...ofEngine, ...(await deliveryTransitions())])].sort());
});

/** What the record shows of sent messages while statuses come in, in every order of three. */
async function deliveryTransitions(): Promise<Transition[]> {
  const words = ['sent', 'delivered', 'read', 'failed'] as const;
  const orders = words.flatMap((a) => words.flatMap((b) => words.map((c) => [a, b, c] as const)));
  const messages = orders.map((order) => ({ id: newId(), order }));
  const { url } = await testDatabase();
  const record = openTestRecord(url);
  try {
    await recordAll(url, logOf(...messages.map(({ id }) => [accepted({ messageId: id }), sent(id, `wamid.${id}`)])));
    const show = async () =>
      await Promise.all(messages.map(async ({ id }) => (await record.messages.find(null, id))?.status));
    const found = new Set<Transition>();
    let before = await show();
    for (const round of [0, 1, 2] as const) {
      const events = messages.map(({ id, order }) =>
        status(`wamid.${id}`, order[round], BASE_MS + 1000 * (round + 1), {
          messageId: id,
          ...(order[round] === 'failed' ? { error: ERROR } : {}),
        }),
      );
      await recordAll(url, logOf(events));
      const after = await show();
      after.forEach((to, index) => {
        const from = before[index];
        if (from !== to) found.add(`${from as MessageStatus} → ${to as MessageStatus}`);
      });
      before = after;
    }
    return [...found];
  } finally {
    await record.close();
  }
}
