import {
  badValue,
  characters,
  checkMediaSource,
  isHttpUrl,
  listAt,
  missing,
  objectAt,
  oneOf,
  onlyKeys,
  optionalTextAt,
  textAt,
} from './checks.ts';

interface Shape {
  readonly bodyMax: number;
  /** Does the API insist on a body. */
  readonly bodyRequired: boolean;
  readonly headers: readonly string[];
  readonly action: (action: Record<string, unknown>) => void;
}

const MEDIA_HEADERS = ['text', 'image', 'video', 'document'] as const;
const KEYS = new Set(['type', 'header', 'body', 'footer', 'action']);

const named =
  (name: string) =>
  (action: Record<string, unknown>): void => {
    oneOf(action['name'], "interactive['action']['name']", [name]);
  };
const anyAction = (): void => undefined;

const SHAPES: Readonly<Record<string, Shape>> = {
  button: { bodyMax: 1024, bodyRequired: true, headers: MEDIA_HEADERS, action: checkButtons },
  list: { bodyMax: 4096, bodyRequired: true, headers: ['text'], action: checkList },
  cta_url: { bodyMax: 1024, bodyRequired: true, headers: MEDIA_HEADERS, action: checkCtaUrl },
  flow: { bodyMax: 1024, bodyRequired: true, headers: MEDIA_HEADERS, action: checkFlow },
  location_request_message: { bodyMax: 1024, bodyRequired: true, headers: [], action: named('send_location') },
  request_contact_info: { bodyMax: 1024, bodyRequired: true, headers: [], action: anyAction },
  product: { bodyMax: 1024, bodyRequired: false, headers: [], action: checkCatalog },
  product_list: { bodyMax: 1024, bodyRequired: true, headers: ['text'], action: checkCatalog },
  catalog_message: { bodyMax: 1024, bodyRequired: true, headers: [], action: named('catalog_message') },
};

/** The `interactive` object, with the limits of Meta's reply button and list pages. */
export function checkInteractive(content: unknown, strict: boolean): void {
  const interactive = objectAt(content, 'interactive');
  onlyKeys(interactive, 'interactive', KEYS, strict);
  const shape = SHAPES[oneOf(interactive['type'], "interactive['type']", Object.keys(SHAPES))];
  if (!shape) return;
  checkHeader(interactive['header'], shape.headers);
  if (interactive['body'] === undefined) {
    if (shape.bodyRequired) throw missing("interactive['body']");
  } else {
    textAt(objectAt(interactive['body'], "interactive['body']")['text'], "interactive['body']['text']", shape.bodyMax);
  }
  if (interactive['footer'] !== undefined)
    textAt(objectAt(interactive['footer'], "interactive['footer']")['text'], "interactive['footer']['text']", 60);
  shape.action(objectAt(interactive['action'], "interactive['action']"));
}

function checkHeader(value: unknown, allowed: readonly string[]): void {
  if (value === undefined) return;
  const param = "interactive['header']";
  if (allowed.length === 0) throw badValue(`Param ${param} is not supported for this interactive type.`);
  const header = objectAt(value, param);
  const type = oneOf(header['type'], `${param}['type']`, allowed);
  if (type === 'text') textAt(header['text'], `${param}['text']`, 60);
  else checkMediaSource(objectAt(header[type], `${param}['${type}']`), `${param}['${type}']`);
}

function checkButtons(action: Record<string, unknown>): void {
  const param = "interactive['action']['buttons']";
  const ids = new Set<string>();
  const titles = new Set<string>();
  for (const [index, item] of listAt(action['buttons'], param, { min: 1, max: 3 }).entries()) {
    const button = objectAt(item, `${param}[${index}]`);
    oneOf(button['type'], `${param}[${index}]['type']`, ['reply']);
    const reply = objectAt(button['reply'], `${param}[${index}]['reply']`);
    ids.add(lengthChecked(reply['id'], `${param}[${index}]['reply']['id']`, 'Button id', 256));
    titles.add(lengthChecked(reply['title'], `${param}[${index}]['reply']['title']`, 'Button title', 20));
    if (ids.size <= index) throw badValue('Duplicated button id: ids of reply buttons must be unique.');
    if (titles.size <= index) throw badValue('Duplicated button title: titles of reply buttons must be unique.');
  }
}

function checkList(action: Record<string, unknown>): void {
  lengthChecked(action['button'], "interactive['action']['button']", 'Button label', 20);
  const param = "interactive['action']['sections']";
  const sections = listAt(action['sections'], param, { min: 1, max: 10 });
  const ids = new Set<string>();
  let rows = 0;
  for (const [index, item] of sections.entries()) {
    const section = objectAt(item, `${param}[${index}]`);
    if (sections.length > 1 || section['title'] !== undefined)
      lengthChecked(section['title'], `${param}[${index}]['title']`, 'Section title', 24);
    for (const [place, entry] of listAt(section['rows'], `${param}[${index}]['rows']`, { min: 1, max: 10 }).entries()) {
      const path = `${param}[${index}]['rows'][${place}]`;
      const row = objectAt(entry, path);
      const id = lengthChecked(row['id'], `${path}['id']`, 'Row id', 200);
      lengthChecked(row['title'], `${path}['title']`, 'Row title', 24);
      if (row['description'] !== undefined)
        lengthChecked(row['description'], `${path}['description']`, 'Row description', 72);
      if (ids.has(id)) throw badValue('Duplicated row id: ids of list rows must be unique.');
      ids.add(id);
      rows += 1;
    }
  }
  if (rows > 10) throw badValue(`Total row count exceeds the maximum allowed count of 10, got ${rows}.`);
}

function checkCtaUrl(action: Record<string, unknown>): void {
  named('cta_url')(action);
  const parameters = objectAt(action['parameters'], "interactive['action']['parameters']");
  lengthChecked(parameters['display_text'], "interactive['action']['parameters']['display_text']", 'Display text', 20);
  if (!isHttpUrl(parameters['url']))
    throw badValue("Param interactive['action']['parameters']['url'] is not a valid URI.");
}

function checkFlow(action: Record<string, unknown>): void {
  named('flow')(action);
  objectAt(action['parameters'], "interactive['action']['parameters']");
}

function checkCatalog(action: Record<string, unknown>): void {
  textAt(action['catalog_id'], "interactive['action']['catalog_id']", 256);
  optionalTextAt(action['product_retailer_id'], "interactive['action']['product_retailer_id']", 256);
}

/** Labels are refused with 131009 and both bounds, unlike texts (100). */
function lengthChecked(value: unknown, param: string, what: string, max: number): string {
  if (value === undefined || value === null) throw missing(param);
  if (typeof value !== 'string' || value.length === 0 || characters(value) > max)
    throw badValue(`${what} invalid (${param}). Min length: 1, max length: ${max}.`);
  return value;
}
