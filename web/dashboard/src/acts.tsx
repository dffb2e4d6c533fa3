import { call } from './api.ts';
import { ask } from './ui.tsx';

/** What an operator does, with the question before it. */

export function pause(kind: 'sender' | 'tenant', id: string): void {
  ask({
    title: `Pause the ${kind} ${id}?`,
    text: 'Its messages are still accepted, and wait until somebody resumes it. What is in flight is finished.',
    confirm: 'Pause',
    isDangerous: true,
    reason: 'Why, for the others',
    act: async (reason) => {
      const path = `/admin/${kind}s/${encodeURIComponent(id)}/pause`;
      await call('POST', path, reason === '' ? {} : { reason });
      return `${id} is paused.`;
    },
  });
}

export function resume(kind: 'sender' | 'tenant', id: string): void {
  ask({
    title: `Resume the ${kind} ${id}?`,
    text: 'What waits goes on at once, at the pace that the limits allow.',
    confirm: 'Resume',
    act: async () => {
      await call('POST', `/admin/${kind}s/${encodeURIComponent(id)}/resume`);
      return `${id} goes on.`;
    },
  });
}
