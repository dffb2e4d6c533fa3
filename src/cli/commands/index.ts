import { bench } from './bench.ts';
import { config } from './config.ts';
import { demo } from './demo.ts';
import { doctor } from './doctor.ts';
import { emulate } from './emulate.ts';
import { migrate } from './migrate.ts';
import { send } from './send.ts';
import { services } from './services.ts';
import { start } from './start.ts';
import { token } from './token.ts';

export const COMMANDS = { start, demo, emulate, send, token, migrate, config, doctor, services, bench };
