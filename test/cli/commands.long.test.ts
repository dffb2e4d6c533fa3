import { describe, expect, it } from 'vitest';
import { dataFolder, run, waxwing } from './harness.ts';

describe('waxwing', () => {
  it('lists its commands with --help and explains one with <command> --help', async () => {
    const help = await run(['--help']);
    expect(help.code).toBe(0);
    for (const name of [
      'start',
      'demo',
      'emulate',
      'send',
      'token',
      'migrate',
      'config',
      'doctor',
      'services',
      'bench',
    ]) {
      expect(help.stdout).toContain(name);
    }
    const start = await run(['start', '--help']);
    expect(start.stdout).toContain('--role');
  });

  it('refuses an unknown command with the ones there are, exit code 2', async () => {
    const refused = await run(['stat']);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('start, demo');
  });

  it('refuses what it cannot mean before it does anything, exit code 2', async () => {
    const misspelt = await run(['dead-letters', 'redrive', '--tennant', 'salon1', '--all', '--yes']);
    expect(misspelt).toMatchObject({ code: 2, stdout: '' });
    expect(misspelt.stderr).toContain('--tenant');
    const unknown = await run(['user', 'ad', 'ann']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('One of: add, list');
  });

  it('send says so when something else answers at the address, or the address is none', async () => {
    const emulate = waxwing(['emulate', '--port', '0', '--json']);
    const [line] = await emulate.saw(/\{.*\}/);
    const { url } = JSON.parse(line) as { url: string };
    const elsewhere = await run(['send', '+447700900123', 'hello', '--url', url], { WAXWING_DATA_DIR: dataFolder() });
    expect(elsewhere).toMatchObject({ code: 1, stdout: '' });
    expect(elsewhere.stderr).toContain('is not Waxwing');
    const nonsense = await run(['send', '+447700900123', 'hello', '--url', 'there'], {
      WAXWING_DATA_DIR: dataFolder(),
    });
    expect(nonsense.stderr).toContain('such as http://127.0.0.1:3000');
  });

  it('config check names every wrong setting at once and exits 1', async () => {
    const checked = await run(['config', 'check'], { PORT: 'many', SENDER_BURST: '0', ON_DEFER: 'perhaps' });
    expect(checked.code).toBe(1);
    for (const name of ['PORT', 'SENDER_BURST', 'ON_DEFER']) expect(checked.stdout).toContain(name);
  });

  it('start stops with every wrong setting listed, and starts nothing', async () => {
    const started = await run(['start'], { PORT: 'many', SHARDS: '-1', WAXWING_DATA_DIR: dataFolder() });
    expect(started.code).toBe(1);
    expect(started.stderr).toContain('PORT');
    expect(started.stderr).toContain('SHARDS');
    expect(started.stderr).not.toContain(' at ');
  });

  it('config print hides secrets', async () => {
    const printed = await run(['config', 'print'], {
      WHATSAPP_PHONE_NUMBER_ID: '123456789012345',
      WHATSAPP_ACCESS_TOKEN: 'EAAsecret',
      JWT_SECRET: 'x'.repeat(40),
    });
    expect(printed.stdout).toContain('WHATSAPP_ACCESS_TOKEN=***');
    expect(printed.stdout).not.toContain('EAAsecret');
  });

  it('token prints a JWT with the role', async () => {
    const made = await run(['token', '--role', 'viewer'], { WAXWING_DATA_DIR: dataFolder() });
    const [, payload = ''] = made.stdout.trim().split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ role: 'viewer' });
  });

  it('send says what to do when nothing runs', async () => {
    const sent = await run(['send', '+447700900123', 'hello'], { WAXWING_DATA_DIR: dataFolder(), PORT: '1' });
    expect(sent.code).toBe(1);
    expect(sent.stderr).toContain('npm start');
  });

  it('emulate prints where it is and ends on SIGTERM', async () => {
    const emulate = waxwing(['emulate', '--port', '0', '--json']);
    const [line] = await emulate.saw(/\{.*\}/);
    const { url } = JSON.parse(line) as { url: string };
    expect((await fetch(`${url}/_emulator/stats`)).status).toBe(200);
    emulate.child.kill('SIGTERM');
    expect((await emulate.finished).code).toBe(0);
  });
});
