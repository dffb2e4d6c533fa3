/** Pages of signing in: plain HTML without a script, so that a policy without inline code holds and nothing can break. */

export const SIGN_IN_STYLE = '/login/style.css';

/** Nothing but our own style and our own forms. */
export const SIGN_IN_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}

function frame(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${head}<title>${escapeHtml(title)} · Waxwing</title>
<link rel="stylesheet" href="${SIGN_IN_STYLE}">
</head>
<body>
<main>
<p class="brand">Waxwing</p>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

export interface SignInPage {
  /** Where to go on to; a path of ours. */
  readonly next: string | null;
  /** What was wrong with the last try. */
  readonly error?: string;
  /** As it was typed, to save typing it again. */
  readonly name?: string;
  /** Shows the field for a token without a click: nobody can have a password yet. */
  readonly isTokenFirst?: boolean;
}

export function signInPage({ next, error, name = '', isTokenFirst = false }: SignInPage): string {
  const goOn = next === null ? '' : `<input type="hidden" name="next" value="${escapeHtml(next)}">\n`;
  const problem = error === undefined ? '' : `<p class="error" role="alert" id="error">${escapeHtml(error)}</p>\n`;
  const described = error === undefined ? '' : ' aria-describedby="error"';
  return frame(
    'Sign in',
    `${problem}<form method="post" action="/login">
${goOn}<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="100" value="${escapeHtml(name)}"${name === '' && !isTokenFirst ? ' autofocus' : ''}${described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="200"${name === '' ? '' : ' autofocus'}${described}>
<button type="submit">Sign in</button>
</form>
<details${isTokenFirst ? ' open' : ''}>
<summary>Sign in with a token</summary>
<form method="post" action="/login">
${goOn}<label for="token">Token</label>
<textarea id="token" name="token" rows="4" required maxlength="8192" autocomplete="off" spellcheck="false"></textarea>
<button type="submit">Sign in with the token</button>
</form>
<p class="dim"><br><code>waxwing token</code> makes a token, <code>waxwing user add NAME</code> a user.</p>
</details>`,
  );
}

export function signOutPage(name: string): string {
  return frame(
    'Sign out',
    `<p>You are signed in as <strong>${escapeHtml(name)}</strong>.</p>
<form method="post" action="/logout"><button type="submit">Sign out</button></form>`,
  );
}

/**
 * Goes to the same place once more, from a page of ours. A browser that followed a link of another site keeps a strict
 * cookie to itself; from here it sends it.
 */
export function onwardPage(path: string): string {
  const target = escapeHtml(path);
  return frame(
    'One moment',
    `<p><a href="${target}">Go on</a></p>`,
    `<meta http-equiv="refresh" content="0;url=${target}">\n`,
  );
}
