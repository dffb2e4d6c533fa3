/** Small helpers over the DOM. Everything that comes from a message goes in as text, never as markup. */

/** The page itself names these elements, each with the kind that its users expect. @type {(id: string) => any} */
export const $ = (id) => document.getElementById(id);

/** Makes an element: `el('p', { class: 'dim', title: 'x' }, 'text', node, …)`; empty children are left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

const PATHS = {
  check: 'M4 12.500l5 5L20 6.500',
  checks: 'M1.500 12.800l4.700 4.700L16 6.800M11 16l1.500 1.500L22.500 6.800',
  clock: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4.500l3 1.800',
  failed: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17M12 8v5M12 16v.2',
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M4 5l17 7-17 7 3-7zM7 12h8',
  attach:
    'M20 11.500l-8 8a5 5 0 0 1-7-7l8.500-8.500a3.300 3.300 0 0 1 4.700 4.700L10 17a1.600 1.600 0 0 1-2.300-2.300l7.300-7.200',
  pin: 'M12 21s7-6.300 7-11.500A7 7 0 0 0 5 9.500C5 14.700 12 21 12 21zM12 7a2.600 2.600 0 1 0 0 5.200A2.600 2.600 0 0 0 12 7',
  plus: 'M12 5v14M5 12h14',
  theme: 'M12 3.500a8.500 8.500 0 1 0 8.500 8.500A6.500 6.500 0 0 1 12 3.500z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4M9 13h6M9 16.500h6',
  image: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 8.500v.2',
  play: 'M8 5.500l11 6.500-11 6.500z',
  mic: 'M12 3a2.500 2.500 0 0 0-2.500 2.500v6a2.500 2.500 0 0 0 5 0v-6A2.500 2.500 0 0 0 12 3zM6 11.500a6 6 0 0 0 12 0M12 17.500V21',
  reply: 'M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7',
  list: 'M8 6.500h12M8 12h12M8 17.500h12M4 6.500v.1M4 12v.1M4 17.500v.1',
  open: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
  smile:
    'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17M8.500 14.500a4.500 4.500 0 0 0 7 0M9 9.500v.2M15 9.500v.2',
};

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

const TICKS = {
  accepted: ['clock', 'Taken, nothing reported yet'],
  sent: ['check', 'Sent'],
  delivered: ['checks', 'Delivered'],
  read: ['checks', 'Read'],
  played: ['checks', 'Played'],
  failed: ['failed', 'Failed'],
};

export function tick(status) {
  const [name, words] = TICKS[status] ?? TICKS.accepted;
  const span = el('span', { class: `tick ${status}`, role: 'img', 'aria-label': words, title: words });
  span.append(icon(name));
  return span;
}

export function time(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

export function day(ms) {
  const date = new Date(ms);
  if (date.toDateString() === new Date().toDateString()) return 'Today';
  return date.toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });
}

/** Country codes have one to three digits; which ones have how many is fixed by the ITU. */
const GROUPS = /^(1|7|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[789]\d|8[0578]\d|9[679]\d|\d\d)(\d{3})(\d{3})/;

/** +491701234567 as a person writes it. User ids and group ids stay as they are. */
export function phone(party) {
  return /^\d{7,15}$/.test(party) ? `+${party.replace(GROUPS, '$1 $2 $3 ')}`.trim() : party;
}

/** Initials of a name, or the last two digits. */
export function avatar(span, name, party) {
  const initials = (name ?? '')
    .split(/\s+/)
    .map((word) => [...word][0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase();
  let sum = 0;
  for (const char of party) sum = (sum * 31 + char.charCodeAt(0)) % 997;
  span.className = `avatar c${sum % 8}`;
  span.textContent = initials || party.slice(-2);
}

/** Calls the control interface; what it refuses becomes an `Error` with its sentence. */
export async function call(method, path, body) {
  const response = await fetch(`/_emulator${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error?.message ?? `The emulator answered ${response.status}.`);
  return answer;
}

let toastTimer = 0;
export function toast(text) {
  const box = $('toast');
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), 5000);
}

/** Runs what a click or a form asked for; a failure is told to the person. */
export async function told(work) {
  try {
    return await work();
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
