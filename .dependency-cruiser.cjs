/**
 * The rooms of docs/architecture.md, top to bottom: a room knows only those below it. Rooms of one line do not know each other.
 */
const FLOORS = [
  ['cli'],
  // Wires the rooms into a running program; the command line and the library start it.
  ['program'],
  ['http'],
  ['inbound'],
  ['jobs'],
  ['messages'],
  ['worker'],
  // Above the rooms that it looks at: the doctor audits the engine against the record, health asks both.
  ['observe'],
  ['bookings', 'templates', 'mail', 'stats', 'failures'],
  ['engine', 'providers', 'record'],
  ['cache'],
  ['config'],
  ['errors'],
  ['model'],
  ['util'],
];

/** Each is started by the command line and knows nothing of the product but its words and small tools. */
const ANNEXES = ['embedded', 'emulator'];
const ANNEX_MAY_KNOW = ['errors', 'model', 'util'];

const roomPattern = (rooms) => `^src/(${rooms.join('|')})/`;

const floorRules = FLOORS.flatMap((floor, index) =>
  floor.map((room) => {
    const above = FLOORS.slice(0, index).flat();
    const beside = floor.filter((other) => other !== room);
    const annexes = room === 'cli' || room === 'program' ? [] : ANNEXES;
    return {
      name: `${room}-knows-only-below`,
      comment: `src/${room} must not know ${[...above, ...beside, ...annexes].join(', ') || 'nothing more'}.`,
      severity: 'error',
      from: { path: roomPattern([room]) },
      to: { path: roomPattern([...above, ...beside, ...annexes, 'nowhere']) },
    };
  }),
);

const annexRules = ANNEXES.map((annex) => ({
  name: `${annex}-stands-alone`,
  comment: `src/${annex} may know ${ANNEX_MAY_KNOW.join(', ')} and itself only.`,
  severity: 'error',
  from: { path: roomPattern([annex]) },
  to: { path: '^src/', pathNot: roomPattern([annex, ...ANNEX_MAY_KNOW]) },
}));

const KNOWN_ROOMS = [...FLOORS.flat(), ...ANNEXES];

module.exports = {
  forbidden: [
    ...floorRules,
    ...annexRules,
    {
      name: 'room-has-a-floor',
      comment: 'A new room needs its place in FLOORS (and in docs/architecture.md), or no rule would watch it.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: roomPattern(KNOWN_ROOMS) },
      to: {},
    },
    {
      name: 'no-circle',
      comment: 'Two files that need each other are one idea in two files, or three in two.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'only-the-record-speaks-sql',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/record/' },
      to: { path: 'node_modules/(pg|@types/pg)/' },
    },
    {
      name: 'src-knows-no-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'src-uses-dependencies-only',
      comment: 'What the product imports must be installed with it: move the package to dependencies.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'import-is-found',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
