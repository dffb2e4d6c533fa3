import type { MessageBody } from '../../../src/model/message.ts';
import { createCloudProvider } from '../../../src/providers/cloud/provider.ts';
import type { MessageProvider, SenderAccount } from '../../../src/providers/contract.ts';
import { providerDeadlineMs, SendWorker } from '../../../src/worker/send-worker.ts';
import type { PoisonKind, ToWorker, WorkerProgram } from '../harness/protocol.ts';
import { onTold, programOptions, tell, told } from './supervised.ts';

/* The product's own worker over the product's own Cloud API adapter, and nothing else: what a test kills is this. */

const options = programOptions() as WorkerProgram;
let stopBeforeWrite = false;

const deadlineMs = providerDeadlineMs(options.engine);
const cloud = createCloudProvider({ deadlineMs, headersTimeoutMs: deadlineMs, connectTimeoutMs: 1000 });
const provider: MessageProvider = {
  ...cloud,
  send: async (request) => {
    if (options.poison !== undefined && textOf(request.body) === options.poison.op) await suffer(options.poison.kind);
    return await cloud.send({
      ...request,
      beforeFirstByte: () => {
        const mayStart = request.beforeFirstByte?.() ?? true;
        if (mayStart && stopBeforeWrite) {
          stopBeforeWrite = false;
          process.kill(process.pid, 'SIGSTOP');
        }
        return mayStart;
      },
    });
  },
};

function textOf({ content }: MessageBody): unknown {
  return (content as { readonly body?: unknown }).body;
}

async function suffer(kind: PoisonKind): Promise<void> {
  await told({ type: 'poisoned' });
  switch (kind) {
    case 'throw':
      throw new TypeError('the handler cannot take this message');
    case 'exit':
      process.exit(3);
    case 'loop':
      for (;;);
    case 'memory':
      exhaust();
  }
}

function exhaust(): never {
  const kept: number[][] = [];
  for (;;) kept.push(new Array<number>(100_000).fill(kept.length));
}

const accounts = new Map(
  options.senders.map((sender): [string, SenderAccount] => [
    sender.id,
    {
      id: sender.id,
      provider: 'cloud',
      externalId: sender.phoneNumberId,
      apiUrl: sender.apiUrl,
      // The fake provider learns from the token whose request it is.
      credentials: { accessToken: `${options.worker}/${process.pid}` },
    },
  ]),
);

const workers = Array.from({ length: options.count }, (_, index) => createWorker(index));

function createWorker(index: number): SendWorker {
  return new SendWorker({
    ...options.engine,
    redis: options.redis,
    shards: options.shards,
    worker: `${options.worker}.${index}`,
    slots: options.slots,
    globalRatePerSecond: 0,
    globalConcurrency: 0,
    providers: { cloud: provider },
    policyFor: () => options.policy,
    breaker: { threshold: options.policy.breakerThreshold, openMs: options.policy.breakerOpenMs },
    readAccount: (id) => Promise.resolve(accounts.get(id) ?? null),
    tagKey: Buffer.from(options.tagKeyHex, 'hex'),
    onSettled: ({ grant, settlement }, result) => {
      if (settlement.kind !== 'sent' || result === 'settled') return;
      // Told twice, it may have come late as well: the queue does not tell which.
      tell({ type: 'late-sent', messageId: grant.messageId, result: result === 'evidence' ? result : 'stale' });
    },
  });
}

onTold((told) => {
  const message = told as ToWorker;
  switch (message.type) {
    case 'stop-before-write':
      stopBeforeWrite = true;
      tell({ type: 'armed' });
      return;
    case 'block': {
      const untilMs = performance.now() + message.ms;
      while (performance.now() < untilMs);
      return;
    }
    case 'exhaust':
      exhaust();
  }
});

process.once('SIGTERM', () => {
  void Promise.all(workers.map((worker) => worker.stop(options.graceMs)))
    .then(() => provider.close())
    .then(() => process.exit(0));
});

await Promise.all(workers.map((worker) => worker.start()));
tell({ type: 'ready' });
