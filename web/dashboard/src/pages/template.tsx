import { useEffect, useState } from 'preact/hooks';
import { asApiError, type ApiError, call, useGet } from '../api.ts';
import { time } from '../format.ts';
import { href } from '../router.ts';
import { Card, Heading, Trouble } from '../ui.tsx';
import { isStopped, sinceOf, type Template, TemplateState } from './templates.tsx';

/** One template: what it is, what its provider says of it, and what a customer reads. */
export function TemplatePage({ id }: { id: string }) {
  const { data: template, error } = useGet<Template>(`/dashboard/api/templates/${encodeURIComponent(id)}`, 5000);
  if (template === null) {
    return (
      <>
        <Heading>Template</Heading>
        <Trouble error={error} />
      </>
    );
  }
  return (
    <>
      <Heading aside={<TemplateState status={template.status} />}>{template.key}</Heading>
      <Trouble error={error} />
      {isStopped(template) && (
        <section class="answer a-held" aria-label="Why it is stopped">
          <span class="lamp" aria-hidden="true" />
          <div>
            <p class="sentence">The provider stopped this template: its messages wait, all others go.</p>
            <p class="why">
              {template.reason === null ? 'It told no reason.' : `Its reason: ${template.reason}.`}{' '}
              <a href={href('/messages', { hold: 'template-paused' })}>See what waits.</a>
            </p>
          </div>
        </section>
      )}
      <div class="grid even">
        <Facts template={template} />
        <Preview key={template.updatedAt} template={template} />
      </div>
    </>
  );
}

function Facts({ template }: { template: Template }) {
  const { provider, providerId, tenant, reason } = template;
  const rows: readonly (readonly [string, string | null])[] = [
    ['Language', template.language],
    ['Category', template.category.toLowerCase()],
    ['For', tenant ?? 'all tenants'],
    ['Name there', template.name],
    [provider === 'twilio' ? 'ContentSid' : 'Id at Meta', providerId ?? 'not there'],
    ['Account', `${provider === 'cloud' ? 'Meta' : 'Twilio'} ${template.account}`],
    ['Sender', template.sender],
    ['State', template.status],
    ['Reason', reason],
    ['State told', sinceOf(template)],
    ['Made', time(template.createdAt)],
    ['Changed', time(template.updatedAt)],
  ];
  return (
    <Card title="Facts">
      <dl class="facts">
        {rows
          .filter(([, value]) => value !== null)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="wrap">{value}</dd>
            </div>
          ))}
      </dl>
    </Card>
  );
}

interface Shown {
  readonly header: string | null;
  readonly body: string | null;
  readonly footer: string | null;
  readonly buttons: readonly string[];
}

const nameOf = ({ component, name }: Template['variables'][number]) =>
  component === 'body' ? name : `${component}.${name}`;

/** As it stands on a phone, with examples until somebody writes something else. */
function Preview({ template }: { template: Template }) {
  const { variables } = template;
  const [values, setValues] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(variables.map((variable) => [nameOf(variable), variable.example ?? `{{${variable.name}}}`])),
  );
  const [shown, setShown] = useState<Shown | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    let isOver = false;
    const path = `/dashboard/api/templates/${encodeURIComponent(template.id)}/preview`;
    const timer = setTimeout(() => {
      call<Shown>('POST', path, { variables: values })
        .then((answer) => {
          if (isOver) return;
          setShown(answer);
          setError(null);
        })
        .catch((problem: unknown) => {
          if (!isOver) setError(asApiError(problem));
        });
    }, 120);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [template.id, values]);
  return (
    <Card title="As a customer reads it">
      <Trouble error={error} />
      {shown !== null && (
        <div class="phone">
          <div class="shown">
            {shown.header !== null && <p class="head">{shown.header}</p>}
            <p class="words">{shown.body ?? 'Its text is not known here: take over the states of its account.'}</p>
            {shown.footer !== null && <p class="meta left">{shown.footer}</p>}
            {shown.buttons.map((button) => (
              <span key={button} class="reply">
                {button}
              </span>
            ))}
          </div>
        </div>
      )}
      {variables.length > 0 && (
        <div class="filters below">
          {variables.map((variable) => {
            const name = nameOf(variable);
            return (
              <label key={name}>
                {`{{${variable.name}}}`}
                {variable.component === 'body' ? '' : ` in the ${variable.component}`}
                <input
                  value={values[name] ?? ''}
                  maxLength={1024}
                  onInput={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
                />
              </label>
            );
          })}
        </div>
      )}
    </Card>
  );
}
