import { useState } from 'preact/hooks';
import { asApiError, type ApiError, call } from '../api.ts';
import { Choice, TenantField } from '../filters.tsx';
import { go, href } from '../router.ts';
import { Card, Heading, say, Trouble } from '../ui.tsx';
import { type Template, useSenders } from './templates.tsx';

const PLACE = /\{\{\s*(\w+)\s*\}\}/g;
const EMPTY = { sender: '', tenant: '', key: '', language: 'en', category: 'UTILITY', body: '' };

/** Makes a template at the provider and hands it in for approval. */
export function NewTemplate() {
  const senders = useSenders();
  const [fields, setFields] = useState(EMPTY);
  const [examples, setExamples] = useState<Readonly<Record<string, string>>>({});
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const sender = fields.sender === '' ? (senders[0]?.id ?? '') : fields.sender;
  const places = [...new Set([...fields.body.matchAll(PLACE)].map(([, name]) => name ?? ''))];
  const set = (name: keyof typeof EMPTY) => (value: string) => setFields({ ...fields, [name]: value });
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      const { tenant, key, language, category, body } = fields;
      const made = await call<Template>('POST', '/dashboard/api/templates', {
        ...{ sender, key, language, category, body },
        ...(tenant === '' ? {} : { tenant }),
        ...(places.length === 0
          ? {}
          : { examples: Object.fromEntries(places.map((one) => [one, examples[one] ?? ''])) }),
      });
      say(`${made.key} was handed in; the provider says ${made.status}.`);
      go(href(`/templates/${made.id}`));
    } catch (problem) {
      setError(asApiError(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Heading aside={<a href={href('/templates')}>Back to the templates</a>}>New template</Heading>
      <Card title="What it is">
        <form
          class="form"
          onSubmit={(event) => {
            event.preventDefault();
            void make();
          }}
        >
          <div class="filters">
            <Choice
              label="In the account of"
              value={sender}
              any={null}
              options={senders.map(({ id, provider }) => [id, `${id} (${provider ?? '?'})`])}
              onChange={set('sender')}
            />
            <TenantField label="For the tenant (empty: all)" value={fields.tenant} onChange={set('tenant')} />
            <label>
              Key
              <input
                required
                maxLength={200}
                pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*"
                title="Letters, digits and _ . -"
                value={fields.key}
                onInput={(event) => set('key')(event.currentTarget.value)}
              />
            </label>
            <label>
              Language
              <input
                required
                pattern="[a-z]{2,3}(_[A-Z]{2}|_[A-Z][a-z]{3})?"
                title="As WhatsApp writes it: en, pt_BR"
                value={fields.language}
                onInput={(event) => set('language')(event.currentTarget.value)}
              />
            </label>
            <Choice
              label="Category"
              value={fields.category}
              any={null}
              options={[
                ['UTILITY', 'Utility'],
                ['MARKETING', 'Marketing'],
                ['AUTHENTICATION', 'Authentication'],
              ]}
              onChange={set('category')}
            />
          </div>
          <label>
            Text, with {'{{1}}'} or {'{{name}}'} where something is filled in
            <textarea
              required
              rows={5}
              maxLength={1024}
              value={fields.body}
              onInput={(event) => set('body')(event.currentTarget.value)}
            />
          </label>
          {places.length > 0 && (
            <div class="filters">
              {places.map((name) => (
                <label key={name}>
                  Example for {`{{${name}}}`}
                  <input
                    required
                    maxLength={1024}
                    value={examples[name] ?? ''}
                    onInput={(event) => setExamples({ ...examples, [name]: event.currentTarget.value })}
                  />
                </label>
              ))}
            </div>
          )}
          <Trouble error={error} />
          <div class="end">
            <button type="submit" class="go" disabled={isBusy || sender === ''}>
              {isBusy ? 'One moment …' : 'Hand in for approval'}
            </button>
          </div>
        </form>
      </Card>
    </>
  );
}
