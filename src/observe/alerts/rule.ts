/** One metric, or those of its series whose labels have these values. */
export interface Selector {
  readonly metric: string;
  /** A value, or several of which one must match. */
  readonly where?: Readonly<Record<string, string | readonly string[]>>;
}

/** What must hold over the figures. A figure that is not known makes no condition true or false. */
export type Condition =
  /** The series together, or one by one for each value of `by`. */
  | {
      readonly kind: 'level';
      readonly of: Selector;
      readonly take: 'sum' | 'max' | 'min';
      /** An alert of its own for each value of this label. */
      readonly by?: string;
      readonly op: '>' | '<';
      readonly value: number;
    }
  /** The sum of `part` divided by the sum of `of`: as they are, or what came in the last `windowSeconds`. */
  | {
      readonly kind: 'share';
      readonly part: Selector;
      readonly of: readonly Selector[];
      readonly windowSeconds?: number;
      readonly by?: string;
      readonly op: '>' | '<';
      readonly value: number;
      /** Below this much in `of` a share says nothing. */
      readonly atLeast: number;
    }
  /** How much a counter grew in the last `windowSeconds`. */
  | { readonly kind: 'increase'; readonly of: Selector; readonly windowSeconds: number; readonly above: number };

export interface AlertRule {
  /** Stable name in kebab case: in `/admin/alerts`, in webhooks, and as the alert's name in Prometheus. */
  readonly id: string;
  /** `critical`: messages do not flow or may be lost; `warning`: somebody should look today. */
  readonly severity: 'critical' | 'warning';
  /** How long the condition must hold without a break; 0 = at once. */
  readonly forSeconds: number;
  /** What is the case, in a sentence for the person who is woken. */
  readonly sentence: string;
  /** What to do about it. */
  readonly advice: string;
  readonly condition: Condition;
}
