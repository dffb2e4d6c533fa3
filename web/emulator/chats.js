import { $, avatar, call, el, phone, tick, time, told } from './dom.js';
import { label } from './bubble.js';

/** The list of chats: at most this many rows exist, however many chats there are. */
const ROWS_MAX = 200;
const RENDER_MS = 400;
/** The order holds still for so long after the pointer moved over the list: nobody hits a row that jumps. */
const STILL_MS = 2500;

const rows = new Map();
const summaries = new Map();
let total = 0;
let openKey = null;
/** @type {(key: string) => void} */
let onOpen = () => undefined;
let timer = 0;
let movedAt = 0;
let searching = '';

export function startChats(open) {
  onOpen = open;
  $('list').addEventListener('pointermove', () => (movedAt = Date.now()));
  $('list').addEventListener('pointerleave', () => (movedAt = 0));
  $('list').addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...$('list').querySelectorAll('button')];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  let typing = 0;
  $('search').addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => void told(reload), 150);
  });
  $('search').addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'Enter') return;
    event.preventDefault();
    $('list').querySelector('button')?.focus();
  });
}

/** Loads the list again: at the start, after a search, a reset or a lost connection. */
export async function reload() {
  searching = $('search').value.trim();
  const { items } = await call('GET', `/conversations?limit=${ROWS_MAX}&search=${encodeURIComponent(searching)}`);
  summaries.clear();
  for (const item of items) summaries.set(item.key, item);
  movedAt = 0;
  render();
}

/** Takes what a frame brought. While a search is shown, only its rows change. */
export function update(changed, conversations) {
  total = conversations;
  for (const summary of changed) {
    if (searching !== '' && !summaries.has(summary.key)) continue;
    summaries.set(summary.key, summary);
  }
  if (changed.length > 0 || rows.size === 0) timer ||= setTimeout(render, RENDER_MS);
}

export function markOpen(key) {
  openKey = key;
  const summary = summaries.get(key);
  if (summary) summary.unread = 0;
  render();
}

function render() {
  clearTimeout(timer);
  timer = 0;
  const still = Date.now() - movedAt < STILL_MS;
  const sorted = [...summaries.values()].sort((a, b) => b.lastAtMs - a.lastAtMs);
  for (const summary of sorted.splice(ROWS_MAX)) {
    summaries.delete(summary.key);
    rows.get(summary.key)?.item.remove();
    rows.delete(summary.key);
  }
  for (const [key, row] of rows) {
    if (summaries.has(key)) continue;
    row.item.remove();
    rows.delete(key);
  }
  const list = $('list');
  const focused = document.activeElement;
  sorted.forEach((summary, index) => {
    const row = rows.get(summary.key) ?? makeRow(summary);
    fill(row, summary);
    // While the order holds still, new chats come at the end.
    const place = still ? (row.item.isConnected ? row.item : null) : (list.children[index] ?? null);
    if (place !== row.item) list.insertBefore(row.item, place);
  });
  if (focused instanceof HTMLElement && focused !== document.activeElement && list.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
  if (still && sorted.length > 0) timer ||= setTimeout(render, STILL_MS);
  const note = $('list-note');
  note.hidden = searching !== '' ? sorted.length > 0 : total <= sorted.length;
  note.textContent =
    searching !== ''
      ? 'No chat matches.'
      : `The ${sorted.length} latest of ${total.toLocaleString()} chats. Search finds the others.`;
}

function makeRow(summary) {
  const face = el('span', { class: 'avatar', 'aria-hidden': 'true' });
  const name = el('b', { class: 'title' });
  const when = el('time', {});
  const business = el('span', { class: 'from' });
  const last = el('span', { class: 'last' });
  const badge = el('span', { class: 'badge' });
  const button = el(
    'button',
    { type: 'button', class: 'row', onclick: () => onOpen(summary.key) },
    face,
    el(
      'span',
      { class: 'lines' },
      el('span', { class: 'l1' }, name, when),
      el('span', { class: 'l2' }, last, badge),
      business,
    ),
  );
  const row = { item: el('li', {}, button), button, face, name, when, business, last, badge, shown: '' };
  rows.set(summary.key, row);
  return row;
}

function fill(row, summary) {
  const isOpen = summary.key === openKey;
  const shown = JSON.stringify([summary, isOpen]);
  // Most rows of a frame did not change: then nothing of the page is touched.
  if (row.shown === shown) return;
  row.shown = shown;
  avatar(row.face, summary.name, summary.party);
  row.name.textContent = summary.name ?? phone(summary.party);
  row.when.textContent = time(summary.lastAtMs);
  row.business.textContent = `${summary.tenant ? `${summary.tenant} · ` : ''}via ${summary.phoneNumberId}`;
  const { last } = summary;
  row.last.replaceChildren(
    ...(last ? [...(last.direction === 'out' ? [tick(last.status)] : []), label(last.type, last.text)] : []),
  );
  row.badge.hidden = summary.unread === 0 || isOpen;
  row.badge.textContent = summary.unread > 99 ? '99+' : String(summary.unread);
  row.badge.setAttribute('aria-label', `${summary.unread} unread`);
  if (isOpen) row.button.setAttribute('aria-current', 'true');
  else row.button.removeAttribute('aria-current');
}
