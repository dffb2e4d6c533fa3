import { defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import { ROLES, signJwt } from '../../http/index.ts';
import { jwtSettings } from '../../program/web.ts';
import { settings, UsageError } from '../settings.ts';
import { parseInteger } from './start.ts';

export const token = defineCommand({
  meta: { name: 'token', description: 'Make a JWT for /admin' },
  args: {
    role: { type: 'string', default: 'admin', description: 'admin | operator | viewer', valueHint: 'role' },
    name: { type: 'string', default: 'cli', description: 'Who it is for; stands in the audit', valueHint: 'name' },
    hours: { type: 'string', default: '8', description: 'Hours that it is valid, 1 to 8760', valueHint: 'hours' },
  },
  async run({ args }) {
    const role = ROLES.find((one) => one === args.role);
    if (role === undefined)
      throw new UsageError(`--role must be one of ${ROLES.join(', ')}; got ${JSON.stringify(args.role)}.`);
    const hours = parseInteger(args.hours, 'hours', 1, 24 * 365);
    const config = settings();
    const keys = await resolveKeys(config);
    console.log(await signJwt({ role, name: args.name, lifetimeSeconds: hours * 3600 }, jwtSettings(config, keys)));
  },
});
