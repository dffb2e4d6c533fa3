import { $, call, el, icon, phone, told } from './dom.js';

const WHATS = [
  ['Undeliverable, told later (131026)', { kind: 'fail-later', code: 131026 }],
  ['24-hour window closed, told later (131047)', { kind: 'fail-later', code: 131047 }],
  ['Withheld by Meta, told later (131049)', { kind: 'fail-later', code: 131049 }],
  ['Unknown error (131000, HTTP 500)', { kind: 'error', code: 131000 }],
  ['Number too fast (130429)', { kind: 'error', code: 130429 }],
  ['Pair too fast (131056)', { kind: 'error', code: 131056 }],
  ['Spam limit (131048)', { kind: 'error', code: 131048 }],
  ['Access token dead (190)', { kind: 'error', code: 190 }],
  ['Template paused (132015)', { kind: 'error', code: 132015 }],
  ['Slow by 5 s', { kind: 'slow', delayMs: 5000 }],
  ['HTTP 503 without envelope, not sent', { kind: 'http', status: 503, body: 'html' }],
  ['HTTP 502 without envelope, but sent', { kind: 'http', status: 502, body: 'html', taken: true }],
  ['Connection reset, but sent', { kind: 'reset', when: 'after' }],
  ['Connection reset, not sent', { kind: 'reset', when: 'before' }],
  ['Half an answer, but sent', { kind: 'reset', when: 'mid-answer' }],
  ['No answer at all, but sent', { kind: 'hang', when: 'after' }],
  ['200 without an id', { kind: 'no-id' }],
  ['Sent, but no status ever', { kind: 'no-status' }],
];
/** @type {[words: string, rule: object][]} */
const OFTEN = [
  ['the next one', { times: 1 }],
  ['the next 5', { times: 5 }],
  ['every 2nd', { every: 2 }],
  ['one in ten, at random', { probability: 0.1 }],
  ['one in a hundred, at random', { probability: 0.01 }],
  ['always', {}],
];

let openChat = () => null;
let settings = null;
let knownRules = -1;

export function startFaults(getOpenChat) {
  openChat = getOpenChat;
  fillSelect(
    $('r-what'),
    WHATS.map(([words]) => words),
  );
  fillSelect(
    $('r-often'),
    OFTEN.map(([words]) => words),
  );
  $('faults-open').addEventListener('click', () => toggle($('faults').hidden));
  $('faults-close').addEventListener('click', () => toggle(false));
  $('l-number').addEventListener('change', showLimits);
  submit('f-rule', addRule);
  submit('f-slow', () =>
    patch({ latencyMsMin: number('s-min'), latencyMsMax: Math.max(number('s-min'), number('s-max')) }),
  );
  submit('f-limit', applyLimits);
  submit('f-hook', () =>
    patch({
      webhook: {
        duplicateProbability: number('h-dup') / 100,
        dropProbability: number('h-drop') / 100,
        delayMs: number('h-delay'),
        shuffleMs: number('h-shuffle'),
        paused: $('h-paused').checked,
      },
    }),
  );
  submit('f-reset', () => call('POST', '/reset', {}));
}

/** Called with every frame: the version of the rules tells when the list is out of date. */
export function syncFaults(stats) {
  const badge = $('rule-count');
  badge.hidden = stats.rules === 0;
  badge.textContent = String(stats.rules);
  if (stats.rulesVersion === knownRules || $('faults').hidden) return;
  knownRules = stats.rulesVersion;
  void told(showRules);
}

function toggle(open) {
  $('faults').hidden = !open;
  $('faults-open').setAttribute('aria-expanded', String(open));
  $('shell').classList.toggle('with-faults', open);
  if (!open) return $('faults-open').focus();
  $('faults-close').focus();
  void told(load);
}

async function load() {
  const [loaded, stats] = await Promise.all([call('GET', '/settings'), call('GET', '/stats')]);
  settings = loaded;
  const ids = new Set([...Object.keys(settings.numbers), ...stats.numbers.map((entry) => entry.phoneNumberId)]);
  fillSelect($('l-number'), ['every number', ...ids]);
  const chat = openChat();
  fillSelect($('r-scope'), [
    'everybody',
    ...(chat ? [`this chat, ${phone(chat.party)}`, `number ${chat.phoneNumberId}`] : []),
  ]);
  $('s-min').value = settings.latencyMsMin;
  $('s-max').value = settings.latencyMsMax;
  const { webhook } = settings;
  $('h-url').textContent = webhook.url
    ? `To ${webhook.url}`
    : 'No webhook address is set: start with one, or PATCH /_emulator/settings.';
  $('h-dup').value = Math.round(webhook.duplicateProbability * 100);
  $('h-drop').value = Math.round(webhook.dropProbability * 100);
  $('h-delay').value = webhook.delayMs;
  $('h-shuffle').value = webhook.shuffleMs;
  $('h-paused').checked = webhook.paused;
  showLimits();
  await showRules();
}

function showLimits() {
  if (!settings) return;
  const own = $('l-number').selectedIndex > 0 ? (settings.numbers[$('l-number').value] ?? {}) : {};
  $('l-rate').value = own.throughputPerSecond ?? settings.limits.throughputPerSecond;
  $('l-pair').value = own.pairCapacity ?? settings.limits.pairCapacity;
  $('l-refill').textContent = ((own.pairRefillMs ?? settings.limits.pairRefillMs) / 1000).toLocaleString();
}

function applyLimits() {
  const limits = { throughputPerSecond: number('l-rate'), pairCapacity: number('l-pair') };
  return $('l-number').selectedIndex > 0 ? patch({ numbers: { [$('l-number').value]: limits } }) : patch({ limits });
}

async function patch(change) {
  settings = await call('PATCH', '/settings', change);
  showLimits();
}

async function addRule() {
  const [, action] = WHATS[$('r-what').selectedIndex];
  const [, often] = OFTEN[$('r-often').selectedIndex];
  const chat = openChat();
  const scope = $('r-scope').selectedIndex;
  const match =
    !chat || scope === 0
      ? {}
      : { phoneNumberId: chat.phoneNumberId, ...(scope === 1 ? { recipient: chat.party } : {}) };
  await call('POST', '/rules', { match, ...often, action });
  await showRules();
}

async function showRules() {
  const { rules } = await call('GET', '/rules');
  $('rules').replaceChildren(...rules.map(ruleRow));
}

function ruleRow(rule) {
  const { action, match } = rule;
  const words = WHATS.find(([, known]) => Object.entries(known).every(([key, value]) => action[key] === value))?.[0];
  const who = match.recipient
    ? phone(match.recipient)
    : match.phoneNumberId
      ? `number ${match.phoneNumberId}`
      : 'everybody';
  const limit = rule.times ? ` of ${rule.times}` : '';
  const remove = el(
    'button',
    {
      type: 'button',
      class: 'icon',
      'aria-label': 'Remove this fault',
      onclick: () =>
        void told(async () => {
          await call('DELETE', `/rules/${rule.id}`);
          await showRules();
        }),
    },
    icon('close'),
  );
  const done = rule.times !== undefined && rule.applied >= rule.times;
  return el(
    'li',
    { class: done ? 'done' : null },
    el(
      'span',
      {},
      el('b', {}, words ?? `${action.kind} ${action.code ?? action.status ?? ''}`),
      el('small', {}, `${who} · applied ${rule.applied}${limit}`),
    ),
    remove,
  );
}

function submit(id, work) {
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    const button = event.target.querySelector('.go');
    void told(async () => {
      await work();
      button.classList.add('ok');
      setTimeout(() => button.classList.remove('ok'), 900);
    });
  });
}

function number(id) {
  return Math.max(0, Math.round(Number($(id).value) || 0));
}

function fillSelect(select, words) {
  const old = select.value;
  select.replaceChildren(...words.map((text) => el('option', { value: text }, text)));
  if (words.includes(old)) select.value = old;
}
