import { faultWords } from './answer.ts';
import type { Decision } from './decide.ts';
import type { ParsedMessage } from './request.ts';
import { filledTemplate } from './template.ts';
import type { World } from './world.ts';

/** The message goes out: it appears in its chat. Returns what starts its statuses. */
export function take(
  world: World,
  senderId: string,
  message: ParsedMessage,
  decision: Decision,
  id: string,
  apiVersion: string,
): () => void {
  const { template, failure } = decision;
  const chat = world.conversations.add(senderId, message.party, {
    id,
    direction: 'out',
    type: message.type,
    content: message.content,
    rendered: filledTemplate(message.content, template),
    buttons: template?.buttons ?? [],
    contextId: message.contextId,
    tag: message.tag,
    status: 'accepted',
    fault: decision.outcome === 'fault' ? faultWords(decision) : null,
  });
  const category = message.type === 'template' ? (template?.category.toLowerCase() ?? 'utility') : 'service';
  return () => {
    if (decision.silent) return;
    world.statuses.begin({ phoneNumberId: senderId, request: message, chat, apiVersion, category, failure });
  };
}

/**
 * Waits as long as the answer is to take, and starts the statuses before or after it.
 * @returns false when the emulator ended meanwhile: there is nobody to answer
 */
export async function holdAnswer(world: World, decision: Decision, begin: (() => void) | null): Promise<boolean> {
  const { latencyMsMin, latencyMsMax, statuses } = world.settings();
  const { kind } = decision.answer;
  const early = statuses.beforeAnswer || (kind !== 'ok' && kind !== 'raw');
  if (early) begin?.();
  const delayMs = decision.delayMs + latencyMsMin + Math.random() * (latencyMsMax - latencyMsMin);
  if (delayMs >= 1 && !(await world.timers.wait(delayMs))) return false;
  if (!early) begin?.();
  return true;
}
