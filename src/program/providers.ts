import type { Config } from '../config/index.ts';
import { createCloudProvider, type CloudProvider } from '../providers/cloud/provider.ts';
import type { MessageProvider } from '../providers/contract.ts';
import { createEvolutionProvider, type EvolutionProvider } from '../providers/evolution/provider.ts';
import { createTwilioProvider } from '../providers/twilio/provider.ts';
import { providerDeadlineMs } from '../worker/send-worker.ts';
import { engineOptions } from './queue.ts';

/** Every provider that a sender can have. */
export interface Providers {
  readonly cloud: CloudProvider;
  readonly evolution: EvolutionProvider;
  readonly twilio: MessageProvider;
}

export function createProviders(config: Config): Providers {
  const deadlineMs = providerDeadlineMs(engineOptions(config));
  return {
    cloud: createCloudProvider({ deadlineMs }),
    evolution: createEvolutionProvider({ deadlineMs }),
    twilio: createTwilioProvider({ deadlineMs, publicUrl: config.publicUrl }),
  };
}

export async function closeProviders({ cloud, evolution, twilio }: Providers): Promise<void> {
  await Promise.all([cloud, evolution, twilio].map((provider) => provider.close()));
}
