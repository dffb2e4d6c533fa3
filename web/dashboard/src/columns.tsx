import { count } from './format.ts';

export interface Column {
  readonly key: string;
  /** Under the column; empty = none. */
  readonly label: string;
  /** What a pointer over it tells. */
  readonly title: string;
  /** From the ground up. */
  readonly parts: readonly { readonly tone: string; readonly value: number }[];
}

/** How many labels have room under the columns. */
export const labelsMax = () => (matchMedia('(max-width: 760px)').matches ? 5 : 12);

/** Stacked columns. For a screen reader a table with the same figures follows; this is hidden from it. */
export function Columns({ columns }: { columns: readonly Column[] }) {
  const totals = columns.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0));
  const top = niceTop(Math.max(1, ...totals));
  return (
    <div class="columns" aria-hidden="true">
      <div class="scale">
        <span>{count(top)}</span>
        <span>{count(top / 2)}</span>
        <span>0</span>
      </div>
      <div class="plot">
        {columns.map(({ key, title, parts }) => (
          <div key={key} class="column" title={title}>
            {[...parts].reverse().map(({ tone, value }) => (
              <span key={tone} class={`c-${tone}`} style={{ height: `${((value / top) * 100).toFixed(2)}%` }} />
            ))}
          </div>
        ))}
      </div>
      <div class="under">
        {columns.map(({ key, label }) => (
          <span key={key}>{label}</span>
        ))}
      </div>
    </div>
  );
}

/** The next of 1, 2, 4, 6, 8 times a power of ten: its half is a whole number too. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 4, 6, 8, 10].map((step) => step * power);
  return Math.max(2, steps.find((step) => step >= value) ?? value);
}
