import { $, avatar, call, day, el, icon, phone, told } from './dom.js';
import { bubble } from './bubble.js';
import { markOpen, reload, startChats, update } from './chats.js';
import { startFaults, syncFaults } from './faults.js';

/** The open chat: its messages by id, and the bubbles that show them. */
let chat = null;
let stream = null;
const MESSAGES_MAX = 500;

const actions = {
  quoted: (id) => chat?.messages.get(id)?.message,
  reply: (message, content) => void told(() => write({ ...content, context: { message_id: message.id } })),
  react: (message, emoji) => void told(() => write({ type: 'reaction', reaction: { message_id: message.id, emoji } })),
};

start();

function start() {
  dress();
  $('example').textContent = [
    `curl ${location.origin}/v23.0/1000/messages \\`,
    `  -H 'Authorization: Bearer any' -H 'Content-Type: application/json' \\`,
    `  -d '{"messaging_product":"whatsapp","to":"+491701234567",`,
    `       "type":"text","text":{"body":"Hello!"}}'`,
  ].join('\n');
  startChats((key) => void told(() => openChat(key)));
  startFaults(() => (chat ? { key: chat.key, phoneNumberId: chat.phoneNumberId, party: chat.party } : null));
  startComposer();
  startKeys();
  connect();
  void told(reload);
}

function dress() {
  const icons = {
    theme: 'theme',
    'new-open': 'plus',
    back: 'back',
    attach: 'attach',
    place: 'pin',
    send: 'send',
    'faults-close': 'close',
  };
  for (const [id, name] of Object.entries(icons)) $(id).append(icon(name));
  const saved = localStorage.getItem('theme');
  if (saved) document.documentElement.dataset.theme = saved;
  $('theme').addEventListener('click', () => {
    const { theme } = document.documentElement.dataset;
    const dark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    localStorage.setItem('theme', dark ? 'light' : 'dark');
  });
}

/** Opens the event stream. The old one is closed by the first frame of the new one, so that no change is missed. */
function connect() {
  const old = stream;
  const source = new EventSource(`/_emulator/events${chat ? `?open=${encodeURIComponent(chat.key)}` : ''}`);
  let lost = false;
  stream = source;
  source.addEventListener('message', (event) => {
    old?.close();
    if (source !== stream) return;
    $('link').textContent = 'live';
    $('link').className = 'link on';
    receive(JSON.parse(event.data));
    if (!lost) return;
    lost = false;
    void told(reload);
    if (chat) void told(() => openChat(chat.key));
  });
  source.addEventListener('error', () => {
    if (source !== stream) return;
    lost = true;
    $('link').textContent = 'reconnecting';
    $('link').className = 'link off';
  });
}

function receive(frame) {
  const { stats } = frame;
  meter('m-rate', stats.perSecond);
  meter('m-total', stats.total);
  meter('m-failed', stats.failed);
  meter('m-limited', stats.limited);
  $('empty-title').textContent = stats.conversations > 0 ? 'Choose a chat' : 'Waiting for the first message';
  syncFaults(stats);
  if (frame.reset) {
    if (chat) closeChat();
    void told(reload);
    return;
  }
  update(frame.conversations ?? [], stats.conversations);
  if (chat) show((frame.messages ?? []).filter((message) => message.key === undefined || message.key === chat.key));
}

function meter(id, value) {
  const text = value.toLocaleString();
  const node = $(id);
  if (node.textContent === text) return;
  node.textContent = text;
  node.parentElement.classList.toggle('some', value > 0);
}

async function openChat(key) {
  const again = chat?.key === key;
  const loaded = await call('GET', `/conversations/${encodeURIComponent(key)}/messages`);
  chat = { ...loaded, messages: new Map(), lastDay: '' };
  connect();
  $('log').replaceChildren();
  if (loaded.trimmed) $('log').append(el('li', { class: 'day' }, 'Older messages were forgotten'));
  $('empty').hidden = true;
  $('open').hidden = false;
  $('shell').classList.add('chatting');
  avatar($('head-avatar'), loaded.name, loaded.party);
  $('head-name').textContent = loaded.name ?? phone(loaded.party);
  $('head-sub').textContent =
    `${loaded.name ? `${phone(loaded.party)} · ` : ''}writes with number ${loaded.phoneNumberId}`;
  $('text').placeholder = `Answer as ${loaded.name ?? 'the customer'}`;
  markOpen(key);
  show(loaded.messages, true);
  if (!again && matchMedia('(min-width: 761px)').matches) $('text').focus();
}

function closeChat() {
  chat = null;
  connect();
  $('open').hidden = true;
  $('empty').hidden = false;
  $('shell').classList.remove('chatting');
  markOpen(null);
}

/** Adds new bubbles and replaces changed ones; keeps the place unless the reader is at the end. */
function show(messages, toEnd = false) {
  if (messages.length === 0) return;
  const scroll = $('scroll');
  const atEnd = toEnd || scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const log = $('log');
  let added = false;
  for (const message of messages.sort((a, b) => a.n - b.n)) {
    const known = chat.messages.get(message.id);
    const node = bubble(message, actions);
    if (known) {
      // An open list or reaction menu stays open when only the ticks changed.
      const open = known.node.querySelector('details[open]');
      if (open) node.querySelector(`details.${open.classList[0]}`)?.setAttribute('open', '');
      known.node.replaceWith(node);
    } else {
      const today = day(message.atMs);
      if (today !== chat.lastDay) log.append(el('li', { class: 'day' }, today));
      chat.lastDay = today;
      log.append(node);
      added = true;
    }
    chat.messages.set(message.id, { message, node });
    if (chat.messages.size > MESSAGES_MAX) {
      const [oldest, entry] = chat.messages.entries().next().value;
      entry.node.remove();
      chat.messages.delete(oldest);
    }
  }
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  else if (added) $('down').hidden = false;
}

/** Sends as the customer of the open chat. */
async function write(content) {
  if (!chat) return;
  await call('POST', '/inbound', { phoneNumberId: chat.phoneNumberId, ...customer(chat.party), ...content });
}

const customer = (party) => (/^\d+$/.test(party) ? { from: `+${party}` } : { userId: party });

function startComposer() {
  const text = $('text');
  const grow = () => {
    text.rows = Math.min(6, text.value.split('\n').length);
  };
  text.addEventListener('input', grow);
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $('composer').requestSubmit();
  });
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const body = text.value.trim();
    if (!body) return;
    text.value = '';
    grow();
    void told(() => write({ type: 'text', text: { body } }));
  });
  $('place').addEventListener(
    'click',
    () =>
      void told(() =>
        write({
          type: 'location',
          location: { latitude: 52.52, longitude: 13.405, name: 'Berlin', address: 'Alexanderplatz' },
        }),
      ),
  );
  $('attach').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', () => void told(sendFile));
  $('back').addEventListener('click', closeChat);
  $('down').addEventListener('click', () => ($('scroll').scrollTop = $('scroll').scrollHeight));
  $('scroll').addEventListener('scroll', () => {
    const scroll = $('scroll');
    if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40) $('down').hidden = true;
  });
  $('details').addEventListener('click', () => {
    const on = $('open').classList.toggle('detailed');
    $('details').setAttribute('aria-pressed', String(on));
  });
  startNew();
}

async function sendFile() {
  const [file] = $('file').files;
  $('file').value = '';
  if (!file) return;
  const data = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(',')[1] ?? '');
    reader.onerror = () => reject(new Error('The file cannot be read.'));
    reader.readAsDataURL(file);
  });
  const family = file.type.split('/')[0];
  const type =
    file.type === 'image/webp' ? 'sticker' : ['image', 'video', 'audio'].includes(family) ? family : 'document';
  const named = type === 'document' ? { filename: file.name } : {};
  await write({ type, [type]: { data, mime_type: file.type || 'application/octet-stream', ...named } });
}

function startNew() {
  const dialog = $('new');
  $('new-open').addEventListener('click', () => {
    $('n-number').value ||= chat?.phoneNumberId ?? '1000';
    dialog.showModal();
  });
  $('new-cancel').addEventListener('click', () => dialog.close());
  $('new-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void told(async () => {
      const phoneNumberId = $('n-number').value;
      const name = $('n-name').value.trim();
      const message = { phoneNumberId, from: $('n-from').value, text: $('n-text').value, ...(name ? { name } : {}) };
      const { contacts } = await call('POST', '/inbound', message);
      dialog.close();
      await openChat(`${phoneNumberId}:${contacts[0].wa_id}`);
    });
  });
}

function startKeys() {
  document.addEventListener('keydown', (event) => {
    const typing = event.target instanceof Element && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === '/' && !typing) {
      event.preventDefault();
      $('search').focus();
    }
    if (event.key !== 'Escape') return;
    const menu = document.querySelector('details.react[open], details.menu[open]');
    if (menu instanceof HTMLDetailsElement) menu.open = false;
    else if (!$('faults').hidden) $('faults-close').click();
    else if (chat && matchMedia('(max-width: 760px)').matches) closeChat();
  });
  document.addEventListener('click', (event) => {
    for (const menu of document.querySelectorAll('details.react[open]'))
      if (menu instanceof HTMLDetailsElement && event.target instanceof Node && !menu.contains(event.target))
        menu.open = false;
  });
}
