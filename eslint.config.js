import tseslint from 'typescript-eslint';
import prettier from 'eslint-config-prettier';

export default tseslint.config(
  { ignores: ['dist/', 'web/dashboard/dist/', 'node_modules/', 'coverage/', '.waxwing/'] },
  // Named on a command line, an ignored file would be a warning; its own first line turns the rules off.
  { files: ['src/engine/generated/**'], linterOptions: { reportUnusedDisableDirectives: 'off' } },
  ...tseslint.configs.strictTypeChecked.map((entry) => ({
    ...entry,
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'web/dashboard/src/**/*.{ts,tsx}'],
  })),
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'web/dashboard/src/**/*.{ts,tsx}'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers and ids in template strings are what log lines and keys are made of.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `void promise` marks work that is on purpose not awaited; its errors are handled inside.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config reads the environment.' },
      ],
    },
  },
  // The emulator's page is plain JavaScript, which `tsc -p web/emulator` reads for names and shapes.
  {
    files: ['web/emulator/*.js'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-unused-vars': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-shadow': 'error',
      'no-implicit-globals': 'error',
      'no-eval': 'error',
      'no-self-assign': 'error',
      'no-unreachable': 'error',
      'no-loss-of-precision': 'error',
      'no-constant-condition': 'error',
      'no-prototype-builtins': 'error',
    },
  },
  // The one reader of the environment, and what starts child processes with it.
  {
    files: ['src/config/**/*.ts', 'src/embedded/**/*.ts', 'src/cli/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  prettier,
);
