/** One thing that is wrong with the settings. */
export interface ConfigProblem {
  /** Name of the setting; of several, the first. */
  readonly key: string;
  /** Words that follow "expected". */
  readonly expected: string;
  /** What was there, `***` for secrets; null when nothing was. */
  readonly got: string | null;
}

/** A remark that does not stop the start. */
export interface ConfigWarning {
  readonly key: string;
  readonly text: string;
}

/** Problems as lines for a person. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const lines = problems.map(
    ({ key, expected, got }) => `  ${key}: expected ${expected}; got ${got === null ? 'nothing' : JSON.stringify(got)}`,
  );
  const count = problems.length === 1 ? 'One setting is wrong' : `${problems.length} settings are wrong`;
  return [`${count}. docs/configuration.md explains each of them.`, ...lines].join('\n');
}
