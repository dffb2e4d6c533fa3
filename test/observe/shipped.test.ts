import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ALERT_RULES } from '../../src/observe/index.ts';
import { metricsOf } from '../../src/observe/alerts/evaluate.ts';
import { prometheusRules } from '../../src/observe/alerts/prometheus.ts';
import { metricCatalogue, SOURCE_METRICS } from '../../src/program/metric-catalogue.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
/** Told by the metrics library about the process itself. */
const OF_PROCESS = /^(process|nodejs)_/;

async function knownNames(): Promise<Set<string>> {
  const all = await metricCatalogue();
  return new Set(
    all.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
}

const namesIn = (text: string) => [...new Set(text.match(/\b(?:waxwing|nodejs|process)_[a-z0-9_]+/g) ?? [])];

test('every metric has one name, a sentence and bounded labels', async () => {
  const all = await metricCatalogue();
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  for (const { name, help, type, labels } of all) {
    expect(name).toMatch(/^waxwing_[a-z0-9_]+$/);
    expect(help, name).toMatch(/^.+\.$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(labels, name).not.toEqual(expect.arrayContaining(['message', 'contact', 'conversation', 'to']));
  }
});

describe('alert rules', () => {
  test('look only at metrics that a source tells', () => {
    const told = new Set(SOURCE_METRICS.map(({ name }) => name));
    for (const rule of ALERT_RULES) for (const name of metricsOf(rule)) expect(told, rule.id).toContain(name);
  });

  test('deploy/prometheus/rules.yaml is what the rules say', () => {
    const written = read('deploy/prometheus/rules.yaml');
    for (const line of prometheusRules(ALERT_RULES, SOURCE_METRICS).split('\n')) {
      const [, expression] = /^\s+expr: (".*")$/.exec(line) ?? [];
      if (expression !== undefined) expect(written).toContain(JSON.parse(expression) as string);
    }
    expect(written.match(/- alert:/g)).toHaveLength(ALERT_RULES.length);
  });
});

test('every query of the Grafana dashboard names metrics that exist', async () => {
  const known = await knownNames();
  const dashboard = JSON.parse(read('deploy/grafana/waxwing.json')) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  expect(dashboard.panels.length).toBeGreaterThan(15);
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const names = namesIn(expr);
      expect(names.length, `${title}: ${expr}`).toBeGreaterThan(0);
      for (const name of names) if (!OF_PROCESS.test(name)) expect(known, title).toContain(name);
    }
  }
});

test('the KEDA example scales on a metric that exists', async () => {
  const [query] = /query: .*/.exec(read('deploy/kubernetes/keda.yaml')) ?? [''];
  for (const name of namesIn(query)) expect(await knownNames()).toContain(name);
});
