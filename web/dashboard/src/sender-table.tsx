import type { LiveSender } from '../../../src/observe/live/types.ts';
import { pause, resume } from './acts.tsx';
import { may } from './api.ts';
import { count, perSecond, time } from './format.ts';
import { href } from './router.ts';
import { Bar, Table } from './ui.tsx';

const SENDER_WORDS = {
  sending: 'Sending',
  idle: 'Idle',
  paused: 'Paused',
  circuit: 'Circuit open',
  slowed: 'Slowed down',
} as const;

/** Senders with what they do now. */
export function SenderTable({ senders }: { senders: readonly LiveSender[] }) {
  return (
    <Table
      stacks
      label="Senders"
      head={['Sender', 'State', 'Rate', 'In flight', '#Waiting', '#Tenants', 'Quality', '']}
    >
      {senders.map((sender) => (
        <SenderRow key={sender.id} sender={sender} />
      ))}
    </Table>
  );
}

function SenderRow({ sender }: { sender: LiveSender }) {
  const { id, state } = sender;
  const allowed = sender.allowedPerSecond;
  return (
    <tr>
      <th scope="row">
        <a href={href('/messages', { sender: id })}>{id}</a>
        <span class="sub">
          {[sender.provider, sender.tenant ?? 'shared'].filter((one) => one !== null).join(' · ')}
        </span>
      </th>
      <td>
        <span class={`tag t-${state}`}>{SENDER_WORDS[state]}</span>
        {sender.pausedReason !== null && <span class="sub">{sender.pausedReason}</span>}
        {sender.circuitUntilMs !== null && <span class="sub">probe at {time(sender.circuitUntilMs)}</span>}
      </td>
      <td>
        <Bar value={sender.sentPerSecond} of={allowed} />
        <span class="sub">
          {perSecond(sender.sentPerSecond)} of {allowed === 0 ? 'any' : perSecond(allowed)}/s
        </span>
      </td>
      <td>
        <Bar value={sender.inFlight} of={sender.concurrency} tone="ink" />
        <span class="sub">
          {count(sender.inFlight)} of {count(sender.concurrency)}
        </span>
      </td>
      <td class="num">
        <a href={href('/messages', { sender: id, status: 'queued', order: 'oldest' })}>{count(sender.waiting)}</a>
        {sender.parked > 0 && <span class="sub">+ {count(sender.parked)} later</span>}
      </td>
      <td class="num">{count(sender.tenants)}</td>
      <td>{sender.quality ?? <span class="dim">–</span>}</td>
      <td class="acts">
        {may('operator') &&
          (state === 'paused' ? (
            <button type="button" onClick={() => resume('sender', id)} aria-label={`Resume sender ${id}`}>
              Resume
            </button>
          ) : (
            <button type="button" class="plain" onClick={() => pause('sender', id)} aria-label={`Pause sender ${id}`}>
              Pause
            </button>
          ))}
      </td>
    </tr>
  );
}
