import {
  type Attributes,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

/*
 * Traces through the OpenTelemetry API. Without a provider (OTEL_EXPORTER_OTLP_ENDPOINT unset) every call below is a
 * few compared words: nothing is recorded, and messages carry nothing for it.
 */

/** W3C trace context as a text: `00-<trace id>-<span id>-<flags>`. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Is the text a trace context that a span can hang on. */
export function isTraceparent(text: string): boolean {
  return spanContextOf(text) !== null;
}

/** The trace context of what runs now; undefined when nothing is recorded. */
export function currentTraceparent(): string | undefined {
  const active = trace.getSpan(context.active());
  return active?.isRecording() === true ? traceparentOf(active.spanContext()) : undefined;
}

/** Runs `work` inside a span of the current trace; an error ends it as failed and goes on. */
export async function inSpan<T>(name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T> {
  return await tracer().startActiveSpan(name, { attributes }, async (span) => await ended(span, work));
}

/**
 * Runs `work` inside a span that hangs on a trace context which came from elsewhere (a header, a stored message, a
 * webhook). Without one nothing is recorded: a trace that begins in its middle explains nothing.
 */
export async function inSpanOf<T>(
  parent: string | undefined,
  name: string,
  attributes: Attributes,
  work: (span: Span | null) => Promise<T>,
): Promise<T> {
  const parentContext = parent === undefined ? null : spanContextOf(parent);
  if (parentContext === null) return await work(null);
  const within = trace.setSpanContext(ROOT_CONTEXT, parentContext);
  const span = tracer().startSpan(name, { kind: SpanKind.CLIENT, attributes }, within);
  return await context.with(trace.setSpan(within, span), async () => await ended(span, work));
}

/** A moment of a trace that is told without lasting. */
export function markSpan(parent: string | undefined, name: string, attributes: Attributes): void {
  const parentContext = parent === undefined ? null : spanContextOf(parent);
  if (parentContext === null) return;
  tracer()
    .startSpan(name, { kind: SpanKind.CONSUMER, attributes }, trace.setSpanContext(ROOT_CONTEXT, parentContext))
    .end();
}

export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function spanContextOf(text: string): SpanContext | null {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(text) ?? [];
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(found) ? found : null;
}

const tracer = () => trace.getTracer('waxwing');

async function ended<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await work(span);
  } catch (error) {
    // The message of an error may hold what a person wrote; its name does not.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'error' });
    throw error;
  } finally {
    span.end();
  }
}
