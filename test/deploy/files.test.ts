import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import Fastify from 'fastify';
import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { SETTINGS } from '../../src/config/catalogue.ts';
import { trustProxyOf } from '../../src/program/web.ts';

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

/** Hosts of all addresses among the values; a `${…}` in them stands for a password. */
const hostsOf = (values: Readonly<Record<string, string | undefined>>): string[] =>
  Object.values(values)
    .map((value) => (value ?? '').replace(/\$\{[^}]*\}/g, 'x'))
    .filter((value) => /^\w+:\/\//.test(value))
    .map((value) => new URL(value).hostname);

/** The commands of a section of docs/deployment.md, without their comments. */
const stepsOf = (heading: string): string[] =>
  (new RegExp(`\\n## ${heading}\\n[^]*?\`\`\`sh\\n([^]*?)\`\`\``).exec(read('docs/deployment.md'))?.[1] ?? '')
    .split('\n')
    .map((line) => line.replace(/ +#.*$/, ''));
const kubernetesSteps = stepsOf('Kubernetes');

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

describe('R10 · web and worker are apart', () => {
  const fly = parseToml(read('fly.toml')) as Data;
  const { services } = parseYaml(read('deploy/compose/compose.yaml'), { merge: true }) as { services: Data };
  const deployment = (name: string): unknown =>
    parseYaml(read(`deploy/kubernetes/${name}.yaml`).split('\n---')[0] ?? '');
  const container = (name: string): unknown => at(deployment(name), 'spec', 'template', 'spec', 'containers', 0);

  test.each(['web', 'worker'] as const)('%s is started as what its name says, wherever it runs', (role) => {
    const words = ['start', '--role', role];
    expect(String(at(fly, 'processes', role)).split(' ')).toEqual(words);
    expect(at(services, role, 'command')).toEqual(words);
    expect(at(container(role), 'args')).toEqual(words);
  });

  test('two web and one worker, replaced one after the other, once the schema is there', () => {
    expect(stepsOf('Fly\\.io')).toContain('fly scale count web=2 worker=1');
    expect(at(fly, 'deploy')).toEqual({ strategy: 'rolling', max_unavailable: 1, release_command: 'migrate' });
    expect(at(fly, 'http_service', 'processes')).toEqual(['web']);
    expect(at(container('migrate'), 'args')).toEqual(['migrate']);
    for (const [role, replicas] of [
      ['web', 2],
      ['worker', 1],
    ] as const) {
      expect(at(deployment(role), 'spec', 'replicas')).toBe(replicas);
      expect(at(deployment(role), 'spec', 'strategy', 'rollingUpdate')).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    }
    for (const command of ['start', 'migrate']) expect(Object.keys(COMMANDS)).toContain(command);
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

  test('addresses name services that are there', () => {
    const hosts = hostsOf(at(services, 'web', 'environment') as Record<string, string>);
    expect(hosts.sort()).toEqual(['postgres', 'redis-cache', 'redis-queue']);
    const scraped = at(parseYaml(read('deploy/compose/prometheus.yaml')), 'scrape_configs') as Data[];
    hosts.push(...scraped.map((job) => String(at(job, 'dns_sd_configs', 0, 'names', 0))));
    const source = parseYaml(read('deploy/compose/grafana-provisioning/datasources/prometheus.yaml')) as Data;
    hosts.push(new URL(String(at(source, 'datasources', 0, 'url'))).hostname);
    for (const host of hosts) expect(Object.keys(services)).toContain(host);
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
    const settings = at(services, 'web', 'environment') as Data;
    expect(at(services, 'worker', 'environment')).toEqual(settings);
    expect(ports).toEqual([Number(settings['METRICS_PORT']), Number(settings['METRICS_PORT'])]);
    // Figures are open on that port: nothing outside of the network may reach it.
    const published = Object.values(services).flatMap((service) => (service['ports'] as string[] | undefined) ?? []);
    expect(published.filter((port) => port.endsWith(`:${String(settings['METRICS_PORT'])}`))).toEqual([]);
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
    expect(at(fly, 'metrics')).toEqual([
      { processes: ['web', 'worker'], port: Number(METRICS_PORT), path: '/metrics' },
    ]);
    // Its proxy reaches the one port; a [[services]] would open others.
    expect(at(fly, 'services')).toBeUndefined();
  });

  test('browsers are known by their own address and meet https, behind the proxy that ends TLS', async () => {
    const { TRUST_PROXY, PUBLIC_URL } = at(fly, 'env') as Record<string, string>;
    expect(PUBLIC_URL).toBe(`https://${String(fly['app'])}.fly.dev`);
    const trustProxy = trustProxyOf({ trustProxy: TRUST_PROXY });
    const app = Fastify(trustProxy === undefined ? {} : { trustProxy });
    app.get('/', (request) => [request.ip, request.protocol]);
    // What Fly hands on: what the caller claimed, the caller's address, the app's own address.
    const headers = { 'x-forwarded-for': '192.0.2.66, 203.0.113.9, 2a09:8280:1::1', 'x-forwarded-proto': 'https' };
    expect((await app.inject({ url: '/', headers })).json()).toEqual(['203.0.113.9', 'https']);
    await app.close();
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

  /** Secrets are made of these by hand, each under the name before `.example.env`. */
  const secrets = new Map(
    readdirSync(folder)
      .filter((file) => file.endsWith('.example.env'))
      .map((file) => [file.replace('.example.env', ''), parseEnv(readFileSync(join(folder, file), 'utf8'))]),
  );
  const config = objects.find(
    (object) => object['kind'] === 'ConfigMap' && at(object, 'metadata', 'name') === 'waxwing',
  );

  test('config map and secret hold settings that exist', () => {
    expect(unknownSettings(Object.keys(at(config, 'data') as Data))).toEqual([]);
    expect(unknownSettings(Object.keys(secrets.get('waxwing') ?? {}))).toEqual([]);
    for (const name of ['WAXWING_API_KEY', 'WAXWING_SECRET_KEY', 'JWT_SECRET'])
      expect(secrets.get('waxwing')).toHaveProperty(name);
  });

  test('no manifest holds a secret, so that applying the folder puts none in the place of a real one', () => {
    expect(named('Secret')).toEqual([]);
    for (const line of kubernetesSteps) expect(line).not.toMatch(/apply.*example/);
  });

  test('the documented steps make every secret and apply every manifest', () => {
    const steps = kubernetesSteps.join('\n');
    for (const [name] of secrets)
      expect(steps).toMatch(new RegExp(`create secret generic ${name} --from-env-file=${name}\\.env`));
    for (const [name] of secrets) expect(steps).toContain(`cp deploy/kubernetes/${name}.example.env ${name}.env`);
    for (const file of readdirSync(folder).filter((one) => one.endsWith('.yaml')))
      expect(steps, file).toMatch(new RegExp(`kubectl apply .*deploy/kubernetes/${file.replace('.', '\\.')}`));
    for (const [file] of steps.matchAll(/deploy\/kubernetes\/[\w.-]+/g))
      expect(existsSync(join(root, file)), file).toBe(true);
  });

  test('addresses name services that are there, or say outside of which namespace or domain they are', () => {
    const settings = { ...(at(config, 'data') as Record<string, string>), ...secrets.get('waxwing') };
    expect(hostsOf(settings)).toEqual(
      expect.arrayContaining(['redis-queue', 'redis-cache', 'postgres.example.com', 'waxwing.example.com']),
    );
    const scalers = objects
      .filter((object) => object['kind'] === 'ScaledObject')
      .flatMap((object) => at(object, 'spec', 'triggers') as Data[]);
    expect(scalers).toHaveLength(1);
    // KEDA runs in another namespace, where no service of ours has a short name.
    const fromOutside = scalers.map((trigger) => new URL(String(at(trigger, 'metadata', 'serverAddress'))).hostname);
    for (const host of [...hostsOf(settings), ...fromOutside]) {
      if (host.includes('.')) continue;
      expect(named('Service'), host).toContain(host);
      expect(fromOutside).not.toContain(host);
    }
    const namespaces = objects
      .filter((object) => object['kind'] === 'NetworkPolicy')
      .flatMap((object) => at(object, 'spec', 'ingress') as Data[])
      .map((rule) => at(rule, 'from', 0, 'namespaceSelector', 'matchLabels', 'kubernetes.io/metadata.name'))
      .filter((name) => typeof name === 'string');
    expect(namespaces).toHaveLength(2);
    for (const namespace of namespaces) expect(fromOutside).toEqual([`prometheus.${namespace}.svc`]);
    const hosts = (
      at(
        objects.find((object) => object['kind'] === 'Ingress'),
        'spec',
        'rules',
      ) as Data[]
    ).map((rule) => rule['host']);
    expect(hosts).toEqual([new URL(settings['PUBLIC_URL'] ?? '').hostname]);
  });

  test('figures are open on a port that the ingress does not serve and that Prometheus alone reaches', () => {
    const metricsPort = Number(at(config, 'data', 'METRICS_PORT'));
    const services = objects.filter((object) => object['kind'] === 'Service');
    const served = services
      .flatMap((object) => at(object, 'spec', 'ports') as Data[])
      .map((port) => port['targetPort']);
    expect(served).not.toContain(metricsPort);
    expect(served).not.toContain('metrics');
    const policies = objects.filter((object) => object['kind'] === 'NetworkPolicy');
    for (const component of ['web', 'worker']) {
      const pod = ours.find((object) => at(object, 'metadata', 'name') === `waxwing-${component}`);
      expect(at(pod, 'spec', 'template', 'metadata', 'annotations', 'prometheus.io/port')).toBe(String(metricsPort));
      expect(at(pod, 'spec', 'template', 'spec', 'containers', 0, 'ports')).toContainEqual({
        name: 'metrics',
        containerPort: metricsPort,
      });
      const labels = at(pod, 'spec', 'template', 'metadata', 'labels');
      const policy = policies.find((object) => {
        return JSON.stringify(at(object, 'spec', 'podSelector', 'matchLabels')) === JSON.stringify(labels);
      });
      const rules = at(policy, 'spec', 'ingress') as Data[];
      const open = rules.filter((rule) => rule['from'] === undefined).flatMap((rule) => rule['ports'] as Data[]);
      expect(open.map((port) => port['port'])).toEqual(component === 'web' ? [3000] : []);
    }
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
          if (secret !== undefined) expect([...secrets.keys()]).toContain(secret);
        }
        for (const variable of (container['env'] as Data[] | undefined) ?? []) {
          const secret = at(variable, 'valueFrom', 'secretKeyRef') as { name: string; key: string } | undefined;
          if (secret !== undefined) expect(secrets.get(secret.name), secret.name).toHaveProperty(secret.key);
        }
        const mounts = ((container['volumeMounts'] as Data[] | undefined) ?? []).map((mount) => mount['name']);
        const claims = (at(pod, 'spec', 'volumeClaimTemplates') as Data[] | undefined) ?? [];
        const volumes = [
          ...((spec['volumes'] as Data[] | undefined) ?? []).map((volume) => volume['name']),
          ...claims.map((claim) => at(claim, 'metadata', 'name')),
        ];
        for (const mount of mounts) expect(volumes).toContain(mount);
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
