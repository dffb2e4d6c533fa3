import { el, icon, tick, time } from './dom.js';

/**
 * One message as a bubble.
 * @param actions `reply(message, content)` answers as the customer, `react(message, emoji)`, `quoted(id)` finds a message
 */
export function bubble(message, actions) {
  const out = message.direction === 'out';
  const body = el('div', { class: `bubble ${message.type}` });
  if (message.contextId) body.append(quote(message.contextId, actions));
  body.append(...(CONTENT[message.type] ?? other)(message));
  if (message.fault) body.append(el('p', { class: 'flag' }, `⚡ ${message.fault}`));
  if (message.error) body.append(el('p', { class: 'error' }, message.error));
  body.append(
    el(
      'div',
      { class: 'meta' },
      el('time', { datetime: new Date(message.atMs).toISOString() }, time(message.atMs)),
      out ? tick(message.status) : message.status === 'read' ? el('span', { class: 'seen' }, 'read by business') : null,
    ),
  );
  body.append(
    el(
      'dl',
      { class: 'ids' },
      ...pair('id', message.id),
      ...(message.tag ? pair('tag', message.tag) : []),
      ...pair('at', new Date(message.atMs).toISOString()),
      ...pair('type', message.type),
    ),
  );
  const reactions = [message.reactions.in, message.reactions.out].filter(Boolean);
  const stack = el('div', { class: 'stack' }, body, ...choices(message, actions));
  if (reactions.length > 0) body.append(el('span', { class: 'reactions', title: 'Reactions' }, reactions.join(' ')));
  if (out && message.type !== 'reaction') stack.append(reactButton(message, actions));
  return el('li', { class: `line ${message.direction}${message.status === 'failed' ? ' bad' : ''}` }, stack);
}

const pair = (name, value) => [el('dt', {}, name), el('dd', {}, value)];

function quote(id, actions) {
  const target = actions.quoted(id);
  const who = target ? (target.direction === 'out' ? 'Business' : 'Customer') : 'Earlier message';
  return el('div', { class: 'quote' }, el('b', {}, who), el('span', {}, target ? line(target) : '…'));
}

/** One line about a message, for quotes and the list. */
export function line(message) {
  const { content, type } = message;
  const text =
    content?.body?.text ??
    content?.body ??
    message.rendered ??
    content?.button_reply?.title ??
    content?.list_reply?.title ??
    content?.caption ??
    content?.filename ??
    content?.emoji ??
    content?.text ??
    content?.name ??
    '';
  return label(type, typeof text === 'string' ? text : '');
}

const KINDS = {
  image: '📷 Photo',
  video: '🎥 Video',
  audio: '🎤 Audio',
  document: '📄 Document',
  sticker: '🌟 Sticker',
  location: '📍 Location',
  contacts: '👤 Contact',
  template: '📋 Template',
  interactive: '',
  reaction: 'Reacted',
  button: '',
  text: '',
};
export function label(type, text) {
  const kind = KINDS[type] ?? type;
  if (!kind) return text || type;
  if (!text) return kind;
  return kind.startsWith('Reacted') ? `Reacted ${text}` : `${[...kind][0]} ${text}`;
}

const CONTENT = {
  text: ({ content }) => [rich(content.body)],
  image: ({ content }) => [picture(content, 'image', 'Photo'), ...caption(content)],
  sticker: ({ content }) => [picture(content, 'image', 'Sticker')],
  video: ({ content }) => [media(content, 'play', 'Video', 'video'), ...caption(content)],
  audio: ({ content }) => [media(content, 'mic', content.voice ? 'Voice message' : 'Audio', 'audio')],
  document: ({ content }) => [media(content, 'file', content.filename ?? 'Document', null), ...caption(content)],
  location: ({ content }) => [
    el('div', { class: 'map', 'aria-hidden': 'true' }, icon('pin')),
    el('p', { class: 'strong' }, content.name ?? 'Location'),
    content.address ? el('p', { class: 'dim' }, content.address) : '',
    el('p', { class: 'dim mono' }, `${Number(content.latitude).toFixed(5)}, ${Number(content.longitude).toFixed(5)}`),
  ],
  contacts: ({ content }) =>
    content.map((contact) =>
      el(
        'div',
        { class: 'contact' },
        el('span', { class: 'avatar c3', 'aria-hidden': 'true' }, [...(contact.name?.formatted_name ?? '?')][0]),
        el(
          'div',
          {},
          el('p', { class: 'strong' }, contact.name?.formatted_name ?? 'Contact'),
          ...(contact.phones ?? [])
            .slice(0, 3)
            .map((entry) => el('p', { class: 'dim' }, entry.phone ?? entry.wa_id ?? '')),
          contact.org?.company ? el('p', { class: 'dim' }, contact.org.company) : '',
        ),
      ),
    ),
  reaction: ({ content }) => [
    el('p', { class: 'dim' }, content.emoji ? `Reacted ${content.emoji}` : 'Took the reaction back'),
  ],
  template,
  interactive: (message) => (message.direction === 'in' ? answerOf(message.content) : interactive(message.content)),
  button: ({ content }) => [rich(content.text ?? content.payload ?? '')],
};

function other({ type, content }) {
  return [
    el('p', { class: 'strong' }, type),
    content ? el('pre', { class: 'raw' }, JSON.stringify(content, null, 1).slice(0, 2000)) : '',
  ];
}

function answerOf(content) {
  const reply = content.button_reply ?? content.list_reply;
  if (!reply) return other({ type: content.type, content });
  return [rich(reply.title), reply.description ? el('p', { class: 'dim' }, reply.description) : ''];
}

function interactive(content) {
  const { header, body, footer } = content;
  return [
    header?.type === 'text' ? el('p', { class: 'strong' }, header.text) : '',
    header?.image ? picture(header.image, 'image', 'Photo') : '',
    header?.video ? media(header.video, 'play', 'Video', 'video') : '',
    header?.document ? media(header.document, 'file', header.document.filename ?? 'Document', null) : '',
    rich(body?.text ?? ''),
    footer ? el('p', { class: 'dim' }, footer.text) : '',
  ];
}

function template(message) {
  const { content } = message;
  const components = content.components ?? [];
  const header = components.find((entry) => /^header$/i.test(entry.type))?.parameters?.[0];
  const values = components.filter((entry) => /^body$/i.test(entry.type)).flatMap((entry) => entry.parameters ?? []);
  const head =
    header?.type === 'image'
      ? picture(header.image ?? {}, 'image', 'Photo')
      : header?.type === 'video'
        ? media(header.video ?? {}, 'play', 'Video', 'video')
        : header?.type === 'document'
          ? media(header.document ?? {}, 'file', header.document?.filename ?? 'Document', null)
          : header?.text
            ? el('p', { class: 'strong' }, header.text)
            : '';
  const name = el('p', { class: 'name' }, `${content.name} · ${content.language?.code ?? ''}`);
  if (message.rendered) return [head, rich(message.rendered), name];
  const shown = values.map((value) => value.text ?? value[value.type]?.fallback_value ?? value.type ?? '');
  const list = el(
    'ol',
    { class: 'params' },
    ...shown.map((text, index) => el('li', {}, el('b', {}, values[index].parameter_name ?? index + 1), String(text))),
  );
  return [head, el('p', { class: 'strong' }, content.name.replaceAll('_', ' ')), shown.length > 0 ? list : '', name];
}

/** Buttons, list rows and quick replies that the customer may choose. */
function choices(message, actions) {
  if (message.direction !== 'out') return [];
  const { content } = message;
  const button = (name, text, sub, choose) =>
    el(
      'button',
      { class: 'choice', type: 'button', onclick: choose },
      icon(name),
      el('span', {}, text),
      sub ? el('small', {}, sub) : '',
    );
  if (message.type === 'template') return templateChoices(message, actions, button);
  if (message.type !== 'interactive') return [];
  const { action, type } = content;
  if (type === 'button')
    return action.buttons.map(({ reply }) =>
      button('reply', reply.title, '', () =>
        actions.reply(message, {
          type: 'interactive',
          interactive: { type: 'button_reply', button_reply: { id: reply.id, title: reply.title } },
        }),
      ),
    );
  if (type === 'list') return [listChoice(message, actions, button)];
  if (type === 'cta_url') return [linkChoice(action.parameters.display_text, action.parameters.url)];
  if (type === 'location_request_message')
    return [
      button('pin', 'Send location', '', () =>
        actions.reply(message, { type: 'location', location: { latitude: 52.52, longitude: 13.405, name: 'Berlin' } }),
      ),
    ];
  if (type === 'flow')
    return [
      button('open', action.parameters?.flow_cta ?? 'Open', 'Flow', () =>
        actions.reply(message, {
          type: 'interactive',
          interactive: {
            type: 'nfm_reply',
            nfm_reply: {
              name: 'flow',
              body: 'Sent',
              response_json: JSON.stringify({ flow_token: action.parameters?.flow_token ?? 'unused' }),
            },
          },
        }),
      ),
    ];
  return [];
}

function listChoice(message, actions, button) {
  const { action } = message.content;
  const rows = action.sections.flatMap((section) => [
    section.title ? el('li', { class: 'section' }, section.title) : '',
    ...section.rows.map((row) =>
      el(
        'li',
        {},
        button('reply', row.title, row.description ?? '', () => {
          const reply = { id: row.id, title: row.title, ...(row.description ? { description: row.description } : {}) };
          actions.reply(message, { type: 'interactive', interactive: { type: 'list_reply', list_reply: reply } });
        }),
      ),
    ),
  ]);
  return el(
    'details',
    { class: 'menu' },
    el('summary', { class: 'choice' }, icon('list'), el('span', {}, action.button)),
    el('ul', {}, ...rows),
  );
}

function templateChoices(message, actions, button) {
  const given = (message.content.components ?? []).filter((entry) => /^button$/i.test(entry.type));
  const quick = given.filter((entry) => /^quick_reply$/i.test(entry.sub_type ?? ''));
  const count = Math.max(message.buttons.length, quick.length);
  return Array.from({ length: count }, (_, index) => {
    const payload = quick.find((entry) => Number(entry.index) === index)?.parameters?.[0]?.payload;
    const text = message.buttons[index] ?? payload ?? `Button ${index + 1}`;
    return button('reply', text, '', () =>
      actions.reply(message, { type: 'button', button: { payload: payload ?? text, text } }),
    );
  });
}

function linkChoice(text, href) {
  return el(
    'a',
    { class: 'choice', href, target: '_blank', rel: 'noopener noreferrer' },
    icon('open'),
    el('span', {}, text),
  );
}

const EMOJI = ['👍', '❤️', '😂', '😮', '😢', '🙏'];
function reactButton(message, actions) {
  const react = (emoji) =>
    el(
      'button',
      { type: 'button', 'aria-label': `React ${emoji}`, onclick: () => actions.react(message, emoji) },
      emoji,
    );
  return el(
    'details',
    { class: 'react' },
    el('summary', { 'aria-label': 'React as the customer', title: 'React as the customer' }, icon('smile')),
    el(
      'div',
      { class: 'picks' },
      ...EMOJI.map(react),
      message.reactions.in
        ? el(
            'button',
            { type: 'button', 'aria-label': 'Remove reaction', onclick: () => actions.react(message, '') },
            '∅',
          )
        : '',
    ),
  );
}

function caption(content) {
  return content.caption ? [rich(content.caption)] : [];
}

/** A picture that was uploaded here is shown; one behind a link is named, because the page asks no other host. */
function picture(content, name, words) {
  if (content.id && !content.link) {
    const image = el('img', {
      class: 'picture',
      src: `/_emulator/media/${encodeURIComponent(content.id)}`,
      alt: words,
      loading: 'lazy',
    });
    image.addEventListener('error', () => image.replaceWith(placeholder(name, words, `media ${content.id}`)), {
      once: true,
    });
    return image;
  }
  return placeholder(name, words, host(content.link), content.link);
}

function media(content, name, words, tag) {
  if (content.id && !content.link && tag) {
    const player = el(tag, {
      class: 'player',
      controls: true,
      preload: 'metadata',
      src: `/_emulator/media/${encodeURIComponent(content.id)}`,
    });
    player.addEventListener('error', () => player.replaceWith(placeholder(name, words, `media ${content.id}`)), {
      once: true,
    });
    return player;
  }
  const href = content.link ?? (content.id ? `/_emulator/media/${encodeURIComponent(content.id)}` : undefined);
  return placeholder(name, words, content.link ? host(content.link) : `media ${content.id ?? ''}`, href);
}

function placeholder(name, words, sub, href) {
  const inner = [
    el('span', { class: 'disc' }, icon(name)),
    el('span', { class: 'two' }, el('b', {}, words), el('small', {}, sub ?? '')),
  ];
  return href && /^(https?:|\/_emulator\/)/i.test(href)
    ? el('a', { class: 'file', href, target: '_blank', rel: 'noopener noreferrer' }, ...inner)
    : el('div', { class: 'file' }, ...inner);
}

function host(link) {
  try {
    return new URL(link).host;
  } catch {
    return '';
  }
}

const MARKS = { '*': 'strong', _: 'em', '~': 's', '`': 'code' };
const PIECES = /(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)])|(?<![\p{L}\p{N}])([*_~`])(?=\S)([^\n]*?\S)\2(?![\p{L}\p{N}])/gu;

/** Text with WhatsApp's *bold*, _italic_, ~strike~ and `code`, and links that open elsewhere. */
function rich(text) {
  const box = el('p', { class: 'text' });
  let at = 0;
  for (const match of String(text).matchAll(PIECES)) {
    box.append(text.slice(at, match.index));
    if (match[1]) box.append(el('a', { href: match[1], target: '_blank', rel: 'noopener noreferrer' }, match[1]));
    else box.append(el(MARKS[match[2]], {}, match[3]));
    at = match.index + match[0].length;
  }
  box.append(String(text).slice(at));
  return box;
}
