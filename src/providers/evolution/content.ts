import { asArray, asObject, asText, parseJson, without } from '../json.ts';

type Item = Readonly<Record<string, unknown>>;

/** A message in the Cloud API's words, as far as it has words for it. */
export interface ReadContent {
  readonly type: string;
  readonly content: Record<string, unknown>;
  /** What is answered, and the advertisement that was clicked. */
  readonly contextInfo: Item | null;
}

/** Messages around a message: they say how it is shown, not what it is. */
const WRAPPERS = [
  'ephemeralMessage',
  'viewOnceMessage',
  'viewOnceMessageV2',
  'viewOnceMessageV2Extension',
  'documentWithCaptionMessage',
  'deviceSentMessage',
];
const WRAPPERS_MAX = 5;
/** Beside the content, and no kind of their own. */
const BESIDE = new Set(['messageContextInfo', 'base64', 'mediaUrl', 'senderKeyDistributionMessage']);

const PROTOCOL_REVOKE = new Set<unknown>([0, 'REVOKE']);
const PROTOCOL_EDIT = new Set<unknown>([14, 'MESSAGE_EDIT']);

type Reader = (object: Item, message: Item) => { type: string; content: Record<string, unknown> };

const media =
  (type: string, more: (object: Item) => Record<string, unknown> = () => ({})): Reader =>
  (object, message) => {
    // Thumbnails and inlined files are large; the raw webhook keeps them.
    const { mimetype, fileSha256, url, ...rest } = without(object, 'jpegThumbnail', 'contextInfo');
    const content = {
      ...rest,
      mime_type: mimetype,
      sha256: fileSha256,
      // The server's own copy opens without WhatsApp's key.
      url: message['mediaUrl'] ?? url,
      ...more(object),
    };
    return { type, content: present(content) };
  };

const reply = (type: 'button_reply' | 'list_reply', fields: Record<string, unknown>) => ({
  type: 'interactive',
  content: { type, [type]: present(fields) },
});

const contact = (object: Item) => ({
  name: present({ formatted_name: object['displayName'] }),
  vcard: object['vcard'],
});

const location: Reader = (object) => {
  const { degreesLatitude, degreesLongitude, ...rest } = without(object, 'jpegThumbnail', 'contextInfo');
  return { type: 'location', content: present({ ...rest, latitude: degreesLatitude, longitude: degreesLongitude }) };
};

const READERS: Readonly<Record<string, Reader>> = {
  extendedTextMessage: (object) => ({ type: 'text', content: present({ body: object['text'] }) }),
  imageMessage: media('image'),
  videoMessage: media('video'),
  ptvMessage: media('video'),
  audioMessage: media('audio', (object) => ({ voice: object['ptt'] === true })),
  documentMessage: media('document', (object) => ({ filename: object['fileName'] ?? object['title'] })),
  stickerMessage: media('sticker', (object) => ({ animated: object['isAnimated'] === true })),
  locationMessage: location,
  liveLocationMessage: location,
  contactMessage: (object) => ({ type: 'contacts', content: { contacts: [contact(object)] } }),
  contactsArrayMessage: (object) => ({
    type: 'contacts',
    content: { contacts: asArray(object['contacts']).map((one) => contact(asObject(one) ?? {})) },
  }),
  reactionMessage: (object) => ({
    type: 'reaction',
    // An empty text takes the reaction back; the Cloud API leaves the emoji out then.
    content: present({
      message_id: asObject(object['key'])?.['id'],
      emoji: object['text'] === '' ? undefined : object['text'],
    }),
  }),
  buttonsResponseMessage: (object) =>
    reply('button_reply', {
      id: object['selectedButtonId'],
      title: object['selectedDisplayText'] ?? asObject(object['response'])?.['selectedDisplayText'],
    }),
  templateButtonReplyMessage: (object) =>
    reply('button_reply', { id: object['selectedId'], title: object['selectedDisplayText'] }),
  listResponseMessage: (object) =>
    reply('list_reply', {
      id: asObject(object['singleSelectReply'])?.['selectedRowId'],
      title: object['title'],
      description: object['description'],
    }),
  interactiveResponseMessage: (object) => nativeFlow(object),
  orderMessage: (object) => ({ type: 'order', content: { ...object } }),
  protocolMessage: (object) => protocol(object),
};

/** Reads `message` of an event; a message without content (it could not be decrypted, say) is `unsupported`. */
export function readContent(data: Item): ReadContent {
  const message = unwrap(asObject(data['message']));
  const contextOf = (object: Item | null) => asObject(object?.['contextInfo']) ?? asObject(data['contextInfo']);
  if (message === null) {
    const stub = data['messageStubType'];
    return {
      type: 'unsupported',
      content: present({ stub, parameters: data['messageStubParameters'] }),
      contextInfo: contextOf(null),
    };
  }
  const conversation = message['conversation'];
  if (typeof conversation === 'string') {
    return { type: 'text', content: { body: conversation }, contextInfo: contextOf(message) };
  }
  const named = asText(data['messageType'], 64);
  const names = Object.keys(message).filter((name) => !BESIDE.has(name));
  const name = names.find((one) => Object.hasOwn(READERS, one)) ?? names.find((one) => one === named) ?? names[0];
  const object = name === undefined ? null : asObject(message[name]);
  const reader = name !== undefined && Object.hasOwn(READERS, name) ? READERS[name] : undefined;
  if (reader !== undefined && object !== null) return { ...reader(object, message), contextInfo: contextOf(object) };
  return {
    type: name?.slice(0, 64) ?? named ?? 'unsupported',
    content: object === null ? { ...message } : { ...object },
    contextInfo: contextOf(object),
  };
}

function unwrap(message: Item | null): Item | null {
  let inner = message;
  for (let depth = 0; depth < WRAPPERS_MAX && inner !== null; depth += 1) {
    const around: Item = inner;
    const wrapper = WRAPPERS.find((name) => asObject(asObject(around[name])?.['message']) !== null);
    if (wrapper === undefined) return inner;
    // The server puts the address of the file beside the wrapper.
    const { mediaUrl } = around;
    inner = { ...asObject(asObject(around[wrapper])?.['message']), ...(mediaUrl === undefined ? {} : { mediaUrl }) };
  }
  return inner;
}

/** Answers to buttons of the newer kind come as a flow with one of our ids in it; others are flows of WhatsApp. */
function nativeFlow(object: Item): { type: string; content: Record<string, unknown> } {
  const flow = asObject(object['nativeFlowResponseMessage']) ?? {};
  const text = asText(asObject(object['body'])?.['text'], 4096);
  const parameters = asObject(parseJson(asText(flow['paramsJson'], 65_536) ?? ''));
  const id = asText(parameters?.['id'], 512);
  if (flow['name'] === 'quick_reply' && id !== null) {
    return reply('button_reply', { id, title: text ?? asText(parameters?.['display_text'], 512) });
  }
  const nfm = present({ name: flow['name'], body: text, response_json: flow['paramsJson'] });
  return { type: 'interactive', content: { type: 'nfm_reply', nfm_reply: nfm } };
}

function protocol(object: Item): { type: string; content: Record<string, unknown> } {
  const original = asObject(object['key'])?.['id'];
  if (PROTOCOL_REVOKE.has(object['type']))
    return { type: 'revoke', content: present({ original_message_id: original }) };
  if (!PROTOCOL_EDIT.has(object['type'])) return { type: 'protocolMessage', content: { ...object } };
  const edited = asObject(object['editedMessage']);
  // One level is enough: an edit holds a plain message.
  const text = edited?.['conversation'] ?? asObject(edited?.['extendedTextMessage'])?.['text'];
  return {
    type: 'edit',
    content: present({ original_message_id: original, message: text === undefined ? edited : { body: text } }),
  };
}

/** Without the fields that the webhook left out. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}
