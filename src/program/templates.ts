import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { InboundHooks } from '../inbound/index.ts';
import { createCloudTemplates } from '../providers/cloud/templates.ts';
import { isTemplateDisabled } from '../providers/template-stopped.ts';
import { createTwilioTemplates } from '../providers/twilio/templates.ts';
import type { WaxwingRecord } from '../record/index.ts';
import { createTemplates, type TemplateRegistry } from '../templates/index.ts';
import type { ProgramCaches } from './caches.ts';
import type { Accepting } from './accepting.ts';

interface TemplateParts {
  readonly config: Config;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly caches: ProgramCaches;
}

export function openTemplates({ config, queue, record, accepting, caches }: TemplateParts): TemplateRegistry {
  return createTemplates({
    store: record.templates,
    providers: [createCloudTemplates(), createTwilioTemplates()],
    senders: record.senders,
    changes: record.providerChanges,
    exclusive: record.exclusive,
    queue,
    knowing: (call) => accepting.senders.knowing(call),
    cache: caches.service,
    businessAccountId: config.whatsappBusinessAccountId,
    twilioContentUrl: config.twilioContentUrl,
  });
}

/** What providers tell about templates. */
export function templateHooks(templates: TemplateRegistry): InboundHooks {
  return {
    async onProviderEvent({ provider, senders, event }) {
      if (event.kind === 'template') await templates.applyEvent(provider, event, senders);
    },
  };
}

/** For settled attempts: one that was told "stopped" is made known, so that the account's other senders hold too. */
export function stoppedTemplates(templates: TemplateRegistry, log: Logger): (request: SettleRequest) => void {
  return ({ grant, settlement, report }) => {
    if (settlement.kind !== 'retry' || settlement.brake?.on !== 'template') return;
    const { template } = settlement.brake;
    const status = report?.error !== undefined && isTemplateDisabled(report.error) ? 'DISABLED' : 'PAUSED';
    const { sender } = grant.lane;
    log.warn({ sender, template, status }, 'the provider stopped a template; messages made from it wait');
    templates.stoppedByAttempt(sender, template, status, report?.error?.title ?? status).catch((error: unknown) => {
      // The engine holds it on this sender; the next attempt of another one tells the same.
      log.warn({ err: error, sender, template }, 'that a template is stopped could not be written down');
    });
  };
}

/** Tells the engine what is stopped, in case it lost its data. Nobody waits for it. */
export function restoreHolds(templates: TemplateRegistry, log: Logger): void {
  templates.restoreHolds().then(
    (count) => {
      if (count > 0) log.info({ templates: count }, 'stopped templates are held');
    },
    (error: unknown) => log.warn({ err: error }, 'stopped templates are not known yet; an attempt will find out'),
  );
}
