interface Period {
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
}

/** `from` and `to` of a query, which its schema has checked, as epoch ms; undefined = no bound. */
export function periodOf(query: { readonly from?: string | undefined; readonly to?: string | undefined }): Period {
  return { fromMs: msOf(query.from), toMs: msOf(query.to) };
}

function msOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}
