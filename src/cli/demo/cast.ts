/** The tenants of the demo and what they send: a salon, a restaurant, a clinic and a shop, each with its own rhythm. */
export interface DemoTenant {
  readonly id: string;
  readonly customers: readonly { readonly name: string; readonly phone: string }[];
  readonly lines: readonly string[];
  /** Messages per second on average. Each customer must get clearly less than one per 6 s, or the backlog only grows. */
  readonly rate: number;
  readonly priority: number;
}

const NAMES = [
  'Amira',
  'Ben',
  'Chiara',
  'Daniel',
  'Elif',
  'Farid',
  'Greta',
  'Hugo',
  'Ines',
  'Jonas',
  'Kaya',
  'Lina',
  'Mateo',
  'Noor',
  'Olga',
  'Pablo',
];

/** Numbers of a range that is set aside for drama and documentation where there is one; nobody is called anyway. */
function customers(prefix: string, count: number, from: number) {
  return Array.from({ length: count }, (_, index) => ({
    name: NAMES[(from + index) % NAMES.length] ?? 'Kim',
    phone: `${prefix}${String(100 + from + index)}`,
  }));
}

export const CAST: readonly DemoTenant[] = [
  {
    id: 'salon-aurora',
    customers: customers('+447700900', 10, 0),
    lines: [
      'Hi {name}, your appointment is tomorrow at 10:30.',
      'See you soon, {name}! Reply 1 to confirm.',
      'We have a free slot today at 16:00. Would you like it, {name}?',
    ],
    rate: 1.1,
    priority: 5,
  },
  {
    id: 'restaurant-basil',
    customers: customers('+447700900', 12, 20),
    lines: [
      'Your table for 4 is ready, {name}.',
      'Thank you for your order, {name}! It is on its way.',
      'How was everything, {name}?',
    ],
    rate: 1.2,
    priority: 7,
  },
  {
    id: 'clinic-north',
    customers: customers('+447700900', 6, 40),
    lines: ['{name}, your results are ready. Please call us.', 'Reminder: check-up on Monday at 8:15, {name}.'],
    rate: 0.6,
    priority: 9,
  },
  {
    id: 'shop-marigold',
    customers: customers('+447700900', 150, 60),
    lines: ['{name}, 20 % off all spring flowers until Sunday!'],
    rate: 0.3,
    priority: 2,
  },
];

/** What the emulator is told to do wrong, so that the demo shows what Waxwing does about it. */
export const TROUBLES = [
  {
    recipient: '+447700900106',
    action: { kind: 'error', code: 131026, details: 'Message undeliverable' },
    says: 'one customer of the salon is not on WhatsApp (131026): fails at once, nobody else waits',
  },
  {
    recipient: '+447700900125',
    action: { kind: 'error', code: 131000, httpStatus: 500 },
    every: 3,
    says: 'one customer of the restaurant meets a server fault every third time (131000): tried again, in order',
  },
  {
    recipient: '+447700900142',
    action: { kind: 'error', code: 131056 },
    every: 4,
    says: 'one patient hits the pair limit (131056): that pair alone is parked',
  },
] as const;

export function lineFor(tenant: DemoTenant, name: string): string {
  const line = tenant.lines[Math.floor(Math.random() * tenant.lines.length)] ?? '{name}';
  return line.replace('{name}', name);
}
