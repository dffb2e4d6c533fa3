import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { SETTINGS } from '../../src/config/catalogue.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Names that belong to the image's base or to Node, not to our settings. */
const FOREIGN = new Set(['NODE_ENV']);
const unknownSettings = (names: Iterable<string>): string[] =>
  [...names].filter((name) => !FOREIGN.has(name) && !Object.hasOwn(SETTINGS, name));

const graceSeconds = SETTINGS.SHUTDOWN_GRACE_MS.default / 1000;
/** Of a `35s`. */
const seconds = (text: string): number => Number(/^(\d+)s$/.exec(text)?.[1]);

type Data = Record<string, unknown>;
const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((found, key) => (found as Data | undefined)?.[String(key)], value);

describe('R10 · Dockerfile', () => {
  const text = read('Dockerfile');
  const instructions = text.replace(/\\\n/g, ' ').split('\n');
  const of = (word: string) =>
    instructions.filter((line) => line.startsWith(`${word} `)).map((l) => l.slice(word.length + 1));

  test('copies only what exists and what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = of('COPY')
      .filter((line) => !line.startsWith('--from='))
      .flatMap((line) => line.split(' ').slice(0, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true);
      expect(allowed).toContain(source);
    }
  });

  test('runs our command as another user than root, as process 1, and names no unknown setting', () => {
    expect(of('USER')).toEqual(['node']);
    const bin = (JSON.parse(read('package.json')) as { bin: { waxwing: string } }).bin.waxwing;
    expect(JSON.parse(of('ENTRYPOINT')[0] ?? '')).toEqual(['node', bin]);
    const names = of('ENV').flatMap((line) => [...line.matchAll(/(\w+)=/g)].map((match) => match[1] ?? ''));
    expect(names.length).toBeGreaterThan(3);
    expect(unknownSettings(names)).toEqual([]);
  });

  test('asks the port of the web role and then that of a worker whether the process lives', () => {
    const command = JSON.parse(/HEALTHCHECK .*CMD (\[.*\])$/m.exec(text)?.[1] ?? '') as string[];
    expect(command.slice(0, 2)).toEqual(['node', '-e']);
    expect(spawnSync(process.execPath, ['--check', '-'], { input: command[2] }).status).toBe(0);
    expect(command[2]).toContain('process.env.METRICS_PORT');
  });
});

describe('R10, Q10 · compose file', () => {
  const compose = parseYaml(read('deploy/compose/compose.yaml'), { merge: true }) as { services: Record<string, Data> };
  const { services } = compose;

  test('has web, worker, a queue Redis, a cache Redis, PostgreSQL, Prometheus and Grafana', () => {
    expect(Object.keys(services).sort()).toEqual(
      ['grafana', 'postgres', 'prometheus', 'redis-cache', 'redis-queue', 'web', 'worker'].sort(),
    );
  });

  test('gives settings that exist, and waits longer than the grace of a stop', () => {
    for (const name of ['web', 'worker']) {
      expect(unknownSettings(Object.keys(at(services, name, 'environment') as Data))).toEqual([]);
      expect(seconds(String(at(services, name, 'stop_grace_period')))).toBeGreaterThan(graceSeconds);
    }
  });

  test('the queue Redis fsyncs always, evicts nothing, has a password, a memory limit, snapshots and keep-alive', () => {
    const command = at(services, 'redis-queue', 'command') as string[];
    const option = (name: string) => command[command.indexOf(`--${name}`) + 1];
    expect(option('appendfsync')).toBe('always');
    expect(option('appendonly')).toBe('yes');
    expect(option('maxmemory-policy')).toBe('noeviction');
    expect(option('maxmemory')).toMatch(/gb$/);
    expect(option('save')).toMatch(/\d/);
    expect(command).toEqual(expect.arrayContaining(['--requirepass', '--tcp-keepalive']));
    expect(at(services, 'redis-queue', 'healthcheck', 'test')).toContain('ping');
  });

  test('every value that it asks for stands in example.env, and every file that it mounts exists', () => {
    const offered = new Set(
      read('deploy/compose/example.env')
        .split('\n')
        .map((line) => line.split('=')[0]),
    );
    for (const [, name = ''] of read('deploy/compose/compose.yaml').matchAll(/\$\{(\w+)/g)) {
      expect(offered, name).toContain(name);
    }
    const mounts = Object.values(services).flatMap((service) => (service['volumes'] as string[] | undefined) ?? []);
    const files = mounts.map((mount) => mount.split(':')[0] ?? '').filter((source) => source.startsWith('.'));
    expect(files.length).toBeGreaterThanOrEqual(4);
    for (const file of files) expect(existsSync(join(root, 'deploy/compose', file)), file).toBe(true);
  });

  test('Prometheus reads the ports on which web and worker answer', () => {
    const prometheus = parseYaml(read('deploy/compose/prometheus.yaml')) as Data;
    const ports = (at(prometheus, 'scrape_configs') as Data[]).map((job) => at(job, 'dns_sd_configs', 0, 'port'));
    expect(ports).toEqual([3000, 9464]);
    const rules = (at(prometheus, 'rule_files') as string[]).map((file) =>
      file.replace('/etc/prometheus/waxwing', 'deploy/prometheus'),
    );
    for (const file of rules) expect(existsSync(join(root, file)), file).toBe(true);
  });
});

describe('R10 · fly.toml', () => {
  const fly = parseToml(read('fly.toml')) as Data;

  test('has two web machines and a worker, rolls one after the other and gives settings that exist', () => {
    expect(Object.keys(at(fly, 'processes') as Data).sort()).toEqual(['web', 'worker']);
    expect(at(fly, 'http_service', 'min_machines_running')).toBe(2);
    expect(at(fly, 'deploy', 'strategy')).toBe('rolling');
    expect(unknownSettings(Object.keys(at(fly, 'env') as Data))).toEqual([]);
    expect(seconds(String(at(fly, 'kill_timeout')))).toBeGreaterThan(graceSeconds);
  });

  test('checks and figures use the ports of the process groups', () => {
    const { PORT, METRICS_PORT } = at(fly, 'env') as Record<string, string>;
    expect(at(fly, 'http_service', 'internal_port')).toBe(Number(PORT));
    expect(at(fly, 'checks', 'worker', 'port')).toBe(Number(METRICS_PORT));
    expect((at(fly, 'metrics') as Data[]).map((item) => item['port'])).toEqual([Number(PORT), Number(METRICS_PORT)]);
  });
});

describe('R10 · Kubernetes manifests', () => {
  const folder = join(root, 'deploy/kubernetes');
  const objects = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) =>
      parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as Data),
    );
  const named = (kind: string): string[] =>
    objects.filter((object) => object['kind'] === kind).map((object) => String(at(object, 'metadata', 'name')));
  const pods = objects.filter((object) => at(object, 'spec', 'template', 'spec', 'containers') !== undefined);
  const ours = pods.filter((pod) => String(at(pod, 'metadata', 'name')).startsWith('waxwing'));

  test('config map and secret hold settings that exist', () => {
    const config = objects.find(
      (object) => object['kind'] === 'ConfigMap' && at(object, 'metadata', 'name') === 'waxwing',
    );
    const secret = objects.find(
      (object) => object['kind'] === 'Secret' && at(object, 'metadata', 'name') === 'waxwing',
    );
    expect(unknownSettings(Object.keys(at(config, 'data') as Data))).toEqual([]);
    expect(unknownSettings(Object.keys(at(secret, 'stringData') as Data))).toEqual([]);
  });

  test('pods run without root, with a read-only disk, pinned images and names that are there', () => {
    expect(ours.map((pod) => at(pod, 'metadata', 'name')).sort()).toEqual([
      'waxwing-migrate',
      'waxwing-web',
      'waxwing-worker',
    ]);
    for (const pod of pods) {
      const spec = at(pod, 'spec', 'template', 'spec') as Data;
      expect(at(spec, 'securityContext', 'runAsNonRoot')).toBe(true);
      for (const container of spec['containers'] as Data[]) {
        expect(String(container['image'])).toMatch(/:[\w.-]+$/);
        expect(String(container['image'])).not.toMatch(/:latest$/);
        expect(at(container, 'securityContext', 'readOnlyRootFilesystem')).toBe(true);
        expect(at(container, 'securityContext', 'allowPrivilegeEscalation')).toBe(false);
        for (const source of (container['envFrom'] as Data[] | undefined) ?? []) {
          const map = at(source, 'configMapRef', 'name');
          if (map !== undefined) expect(named('ConfigMap')).toContain(map);
          const secret = at(source, 'secretRef', 'name');
          if (secret !== undefined) expect(named('Secret')).toContain(secret);
        }
      }
    }
  });

  test('web and worker have probes at their own port, and a stop that is longer than its grace', () => {
    for (const [name, port] of [
      ['waxwing-web', 3000],
      ['waxwing-worker', 9464],
    ] as const) {
      const pod = ours.find((object) => at(object, 'metadata', 'name') === name);
      const container = at(pod, 'spec', 'template', 'spec', 'containers', 0);
      expect(at(container, 'ports', 0, 'containerPort')).toBe(port);
      expect(at(container, 'readinessProbe', 'httpGet', 'path')).toBe('/ready');
      expect(at(container, 'livenessProbe', 'httpGet', 'path')).toBe('/health');
      expect(at(container, 'readinessProbe', 'httpGet', 'port')).toBe(at(container, 'ports', 0, 'name'));
      expect(at(pod, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds')).toBeGreaterThan(graceSeconds);
    }
  });

  test('services, scalers and the ingress point at something that is there', () => {
    const labels = pods.map((pod) => at(pod, 'spec', 'template', 'metadata', 'labels') as Record<string, string>);
    for (const service of objects.filter((object) => object['kind'] === 'Service')) {
      const selector = Object.entries(at(service, 'spec', 'selector') as Record<string, string>);
      expect(labels.some((label) => selector.every(([key, value]) => label[key] === value))).toBe(true);
    }
    const ingress = objects.find((object) => object['kind'] === 'Ingress');
    expect(named('Service')).toContain(
      at(ingress, 'spec', 'rules', 0, 'http', 'paths', 0, 'backend', 'service', 'name'),
    );
    for (const scaler of objects.filter((object) => object['kind'] === 'ScaledObject')) {
      expect(named('Deployment')).toContain(at(scaler, 'spec', 'scaleTargetRef', 'name'));
    }
  });
});
