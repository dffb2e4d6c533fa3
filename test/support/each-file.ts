import { afterAll } from 'vitest';
import { endFile } from './file-end.ts';

/* Runs before each test file (`setupFiles`), also where files share their modules. Its hook is the last of the file. */

afterAll(endFile);
