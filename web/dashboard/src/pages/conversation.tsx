import { useGet } from '../api.ts';
import { wordsOf } from '../content.tsx';
import { STATUS_WORDS, time } from '../format.ts';
import { href, place } from '../router.ts';
import { Empty, Heading, Trouble } from '../ui.tsx';

interface Item {
  readonly id: string;
  readonly direction: 'inbound' | 'outbound';
  readonly type: string;
  readonly status: string;
  readonly createdAt: string;
  readonly [content: string]: unknown;
}

interface Chat {
  readonly tenant: string;
  readonly sender: string;
  readonly contact: { readonly name: string | null; readonly phone: string | null };
  readonly hasWindow: boolean;
  readonly windowExpiresAt: string | null;
  readonly items: readonly Item[];
  readonly next: string | null;
}

const TICKS: Readonly<Record<string, string>> = { sent: '✓', delivered: '✓✓', read: '✓✓' };

/** What was sent and what came in, oldest at the top, as the person sees it on the phone. */
export function Bubbles({ id, cursor = '' }: { id: string; cursor?: string }) {
  const path = `/dashboard/api/messages/${encodeURIComponent(id)}/conversation?limit=30`;
  const { data, error } = useGet<Chat>(cursor === '' ? path : `${path}&cursor=${encodeURIComponent(cursor)}`, 3000);
  if (data === null) return <Trouble error={error} />;
  if (data.items.length === 0) return <Empty>Not recorded yet.</Empty>;
  return (
    <>
      {data.next !== null && (
        <p class="pages">
          <a href={href(`/messages/${id}/conversation`, { cursor: data.next })}>Earlier</a>
        </p>
      )}
      <ol class="chat" aria-label="Messages, oldest first">
        {[...data.items].reverse().map((item) => (
          <li key={item.id} class={`${item.direction} ${item.id === id ? 'this' : ''} s-${item.status}`}>
            <p class="words">{wordsOf(item.type, item[item.type])}</p>
            <p class="meta">
              <span class="hidden">{item.direction === 'inbound' ? 'From the person, ' : 'To the person, '}</span>
              {item.direction === 'outbound' && item['source'] === undefined && item.id !== id ? (
                <a href={href(`/messages/${item.id}`)}>{time(item.createdAt)}</a>
              ) : (
                time(item.createdAt)
              )}
              {item.direction === 'outbound' && (
                <span class={`ticks ${item.status}`}>
                  {' '}
                  <span aria-hidden="true">{TICKS[item.status] ?? ''}</span>
                  <span class={TICKS[item.status] === undefined ? '' : 'hidden'}>
                    {STATUS_WORDS[item.status] ?? item.status}
                  </span>
                </span>
              )}
            </p>
          </li>
        ))}
      </ol>
    </>
  );
}

function windowWords({ hasWindow, windowExpiresAt: until }: Chat): readonly string[] {
  if (!hasWindow) return [];
  if (until === null) return ['the person has not written yet: WhatsApp may take templates only'];
  if (Date.parse(until) <= Date.now()) return ['the 24-hour window is closed: templates only'];
  return [`the 24-hour window is open until ${time(until)}`];
}

export function Conversation({ id }: { id: string }) {
  const { data } = useGet<Chat>(`/dashboard/api/messages/${encodeURIComponent(id)}/conversation?limit=1`);
  return (
    <>
      <Heading aside={<a href={href(`/messages/${id}`)}>Back to the message</a>}>
        {data?.contact.name ?? data?.contact.phone ?? 'Conversation'}
      </Heading>
      {data !== null && (
        <p class="dim">{[`${data.tenant} through ${data.sender}`, ...windowWords(data)].join(' · ')}</p>
      )}
      <div class="card page-chat">
        <Bubbles id={id} cursor={place.value.searchParams.get('cursor') ?? ''} />
      </div>
    </>
  );
}
