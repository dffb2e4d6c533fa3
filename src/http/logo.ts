/* The sign of the dashboard (web/dashboard/icon.svg) for pages that are not ours: Bull Board asks for it by address. */
export const LOGO_SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0b7a5b"/>' +
  '<path d="M6 10l4.5 12L16 12l5.5 10L26 10" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" ' +
  'stroke-linejoin="round"/></svg>';

export const LOGO_URL = `data:image/svg+xml;base64,${Buffer.from(LOGO_SVG).toString('base64')}`;
