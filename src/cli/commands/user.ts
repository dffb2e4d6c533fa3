import { defineCommand } from 'citty';
import { randomBytes } from 'node:crypto';
import { ROLES, type Role } from '../../http/index.ts';
import type { PersonRecord } from '../../record/index.ts';
import { hashPassword, PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN } from '../../util/passwords.ts';
import { askSecret } from '../ask-secret.ts';
import { commandActor, withRecord } from '../with-record.ts';
import { CommandError, UsageError } from '../settings.ts';
import { json } from '../common-args.ts';

const nameArg = { type: 'positional', required: true, description: 'Name to sign in with', valueHint: 'name' } as const;
const generateArg = { type: 'boolean', description: 'Make a password and print it once' } as const;

const add = defineCommand({
  meta: { name: 'add', description: 'Add a person who signs in with a password' },
  args: {
    name: nameArg,
    role: { type: 'string', default: 'viewer', description: 'admin | operator | viewer', valueHint: 'role' },
    generate: generateArg,
  },
  async run({ args }) {
    const name = checkedName(args.name);
    const role = checkedRole(args.role);
    const password = await newPassword(args.generate === true);
    await withRecord(async (record) => {
      const person = await record.people.add({ name, role, passwordHash: await hashPassword(password.text) });
      await record.audit.add({ actor: commandActor(), action: 'user.add', target: person.name, detail: { role } });
    });
    console.log(`${name.toLowerCase()} may sign in as ${role}.`);
    if (password.isMade) console.log(`Password, shown only here: ${password.text}`);
  },
});

const list = defineCommand({
  meta: { name: 'list', description: 'Show who may sign in' },
  args: { json },
  async run({ args }) {
    const people = await withRecord((record) => record.people.list());
    if (args.json) console.log(JSON.stringify(people.map(asJson), null, 2));
    else if (people.length === 0) console.log('Nobody. Add a person with: waxwing user add NAME --role admin');
    else console.log(people.map(asLine).join('\n'));
  },
});

const password = defineCommand({
  meta: { name: 'password', description: 'Set a new password; ends all sessions of the person' },
  args: { name: nameArg, generate: generateArg },
  async run({ args }) {
    const given = await newPassword(args.generate === true);
    await change(args.name, 'user.password', { passwordHash: await hashPassword(given.text) });
    console.log(`${args.name.toLowerCase()} has a new password.`);
    if (given.isMade) console.log(`Password, shown only here: ${given.text}`);
  },
});

const role = defineCommand({
  meta: { name: 'role', description: 'Give another role; counts at once' },
  args: { name: nameArg, role: { type: 'positional', required: true, description: 'admin | operator | viewer' } },
  async run({ args }) {
    const wanted = checkedRole(args.role);
    await change(args.name, 'user.role', { role: wanted });
    console.log(`${args.name.toLowerCase()} is ${wanted} now.`);
  },
});

const disable = defineCommand({
  meta: { name: 'disable', description: 'Let a person sign in no more; ends all sessions of the person' },
  args: { name: nameArg },
  async run({ args }) {
    await change(args.name, 'user.disable', { isDisabled: true });
    console.log(`${args.name.toLowerCase()} may not sign in any more.`);
  },
});

const enable = defineCommand({
  meta: { name: 'enable', description: 'Let a disabled person sign in again' },
  args: { name: nameArg },
  async run({ args }) {
    await change(args.name, 'user.enable', { isDisabled: false });
    console.log(`${args.name.toLowerCase()} may sign in again.`);
  },
});

export const user = defineCommand({
  meta: { name: 'user', description: 'People who sign in to the pages' },
  subCommands: { add, list, password, role, disable, enable },
});

async function change(
  name: string,
  action: string,
  what: { readonly role?: Role; readonly passwordHash?: string; readonly isDisabled?: boolean },
): Promise<void> {
  await withRecord(async (record) => {
    const person = await record.people.update(name, what);
    if (person === null) throw new CommandError(`There is no person ${JSON.stringify(name)}; see: waxwing user list`);
    const detail = what.role === undefined ? {} : { role: what.role };
    await record.audit.add({ actor: commandActor(), action, target: person.name, detail });
  });
}

function checkedName(name: string): string {
  if (/^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,99}$/u.test(name)) return name;
  throw new UsageError(
    'A name has letters, digits and . _ @ + - only, 100 at most, and begins with a letter or digit.',
  );
}

function checkedRole(text: string): Role {
  const found = ROLES.find((one) => one === text);
  if (found === undefined)
    throw new UsageError(`The role must be one of ${ROLES.join(', ')}; got ${JSON.stringify(text)}.`);
  return found;
}

async function newPassword(isWanted: boolean): Promise<{ readonly text: string; readonly isMade: boolean }> {
  if (isWanted) return { text: randomBytes(18).toString('base64url'), isMade: true };
  const text = await askSecret('New password: ', 'Again: ');
  if (text.length < PASSWORD_CHARACTERS_MIN || text.length > PASSWORD_CHARACTERS_MAX) {
    const bounds = `A password has ${PASSWORD_CHARACTERS_MIN} to ${PASSWORD_CHARACTERS_MAX} characters`;
    throw new CommandError(`${bounds}: type or pipe in another one, or let one be made with --generate.`);
  }
  return { text, isMade: false };
}

function asJson({ createdAtMs, lastSignedInAtMs, disabledAtMs, ...person }: PersonRecord) {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    ...person,
    createdAt: iso(createdAtMs),
    lastSignedInAt: iso(lastSignedInAtMs),
    disabledAt: iso(disabledAtMs),
  };
}

function asLine(person: PersonRecord): string {
  const { name, role: has, lastSignedInAt, disabledAt } = asJson(person);
  const state = disabledAt === null ? `last signed in ${lastSignedInAt ?? 'never'}` : `disabled ${disabledAt}`;
  return `${name.padEnd(24)} ${has.padEnd(9)} ${state}`;
}
