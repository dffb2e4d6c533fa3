import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import './style.css';
import { asApiError, call, loadMe, me, version } from './api.ts';
import { connect, link, snapshot } from './live.ts';
import { Bookings } from './pages/bookings.tsx';
import { Conversation } from './pages/conversation.tsx';
import { Failures } from './pages/failures.tsx';
import { Message } from './pages/message.tsx';
import { Messages } from './pages/messages.tsx';
import { Overview } from './pages/overview.tsx';
import { NewTemplate } from './pages/new-template.tsx';
import { Senders } from './pages/senders.tsx';
import { Statistics } from './pages/statistics.tsx';
import { TemplatePage } from './pages/template.tsx';
import { Templates } from './pages/templates.tsx';
import { Tenants } from './pages/tenants.tsx';
import { followLinks, href, place } from './router.ts';
import { Confirm, Heading, say, toast } from './ui.tsx';

const PAGES = [
  ['', 'Overview'],
  ['/messages', 'Messages'],
  ['/failures', 'Failures'],
  ['/tenants', 'Tenants'],
  ['/senders', 'Senders'],
  ['/bookings', 'Bookings'],
  ['/templates', 'Templates'],
  ['/statistics', 'Statistics'],
] as const;

function App() {
  const path = place.value.pathname.replace(/^\/dashboard/, '').replace(/\/$/, '');
  const title = PAGES.find(([start]) => start !== '' && path.startsWith(start))?.[1] ?? 'Overview';
  const state = snapshot.value?.verdict.state;
  useEffect(() => {
    document.title = `${state === 'stuck' || state === 'held' || state === 'blind' ? '● ' : ''}${title} · Waxwing`;
  }, [title, state]);
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <Top path={path} />
      <main id="main">{pageOf(path)}</main>
      <Confirm />
      <p class={toast.value === null ? 'toast' : 'toast shown'} role="status">
        {toast.value}
      </p>
    </>
  );
}

function pageOf(path: string) {
  const message = /^\/messages\/([^/]+)(\/conversation)?$/.exec(path);
  const id = message?.[1];
  if (id !== undefined)
    return message?.[2] === undefined ? <Message key={id} id={id} /> : <Conversation key={id} id={id} />;
  const template = /^\/templates\/([^/]+)$/.exec(path)?.[1];
  if (template === 'new') return <NewTemplate />;
  if (template !== undefined) return <TemplatePage key={template} id={template} />;
  switch (path) {
    case '':
      return <Overview />;
    case '/messages':
      return <Messages />;
    case '/tenants':
      return <Tenants />;
    case '/failures':
      return <Failures />;
    case '/bookings':
      return <Bookings />;
    case '/senders':
      return <Senders />;
    case '/templates':
      return <Templates />;
    case '/statistics':
      return <Statistics />;
    default:
      return (
        <>
          <Heading>There is no such page</Heading>
          <p>
            <a href={href('')}>To the overview</a>
          </p>
        </>
      );
  }
}

const LINK_WORDS = { connecting: 'Connecting', live: 'Live', lost: 'No connection' };

function Top({ path }: { path: string }) {
  const person = me.value;
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the pages stand in a row that is wider than the screen.
    nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [path]);
  return (
    <header class="top">
      <a class="brand" href={href('')} aria-label="Waxwing, overview">
        <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
          <rect width="32" height="32" rx="8" />
          <path d="M6 10l4.5 12L16 12l5.5 10L26 10" />
        </svg>
        <span>Waxwing</span>
      </a>
      <nav ref={nav} aria-label="Pages">
        {PAGES.map(([start, name]) => {
          const isHere = start === '' ? path === '' : path.startsWith(start);
          return (
            <a key={name} href={href(start)} aria-current={isHere ? 'page' : undefined}>
              {name}
            </a>
          );
        })}
      </nav>
      <div class="right">
        <span class={`link l-${link.value}`} role="status">
          {LINK_WORDS[link.value]}
        </span>
        {person?.role === 'admin' && (
          <button
            type="button"
            class="plain"
            aria-pressed={person.revealed}
            onClick={() => void reveal(!person.revealed)}
          >
            {person.revealed ? 'Hide texts' : 'Show texts'}
          </button>
        )}
        {person !== null && (
          <a class="who" href="/logout" target="_self" title={`Signed in as ${person.name} (${person.role})`}>
            Sign out
          </a>
        )}
      </div>
    </header>
  );
}

async function reveal(on: boolean): Promise<void> {
  try {
    await call(on ? 'POST' : 'DELETE', '/dashboard/api/reveal');
    await loadMe();
    version.value += 1;
    say(on ? 'Texts and numbers are shown for ten minutes. That is written in the audit.' : 'Texts are hidden again.');
  } catch (error) {
    say(asApiError(error).message);
  }
}

followLinks();
connect();
loadMe().catch((error: unknown) => say(asApiError(error).message));
// Renews the session while the page is open, and notices when texts are masked again.
setInterval(() => void loadMe().catch(() => undefined), 60_000);
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
