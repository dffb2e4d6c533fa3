import type { Page } from 'playwright-core';

/**
 * Rules of WCAG 2.1 AA that a program can check, in the page as it is drawn: contrast of every text, names of controls,
 * one main heading, headings without gaps, unique ids, tables with headers, nothing wider than the screen.
 * @returns what breaks one, in words; empty = nothing
 */
export async function troublesOf(page: Page): Promise<string[]> {
  return await page.evaluate(CHECK);
}

const CHECK = `(() => {
  const troubles = [];
  const seen = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && one.getClientRects().length > 0;
  const colour = (text) => {
    const [r, g, b, a = 1] = (text.match(/[\\d.]+/g) ?? []).map(Number);
    return text.startsWith('rgb') ? { r, g, b, a } : { r: 0, g: 0, b: 0, a: 0 };
  };
  const over = (top, under) => {
    const mix = (name) => top[name] * top.a + under[name] * (1 - top.a);
    return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
  };
  const groundOf = (element) => {
    const layers = [];
    for (let at = element; at !== null; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
    const canvas = matchMedia('(prefers-color-scheme: dark)').matches ? { r: 18, g: 18, b: 18, a: 1 } : { r: 255, g: 255, b: 255, a: 1 };
    return layers.reverse().reduce((under, top) => over(top, under), canvas);
  };
  const light = ({ r, g, b }) => {
    const part = (value) => { const x = value / 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)]; return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const told = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    if (words === '' || element.closest('option, datalist, script, .hidden, [disabled]') || !seen(element)) continue;
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const found = ratio(over(colour(style.color), ground), ground);
    const size = parseFloat(style.fontSize);
    const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const key = style.color + ' ' + JSON.stringify(ground);
    if (found < wanted && !told.has(key)) {
      told.add(key);
      troubles.push('contrast ' + found.toFixed(2) + ' of "' + words.slice(0, 30) + '" (' + element.className + ')');
    }
  }
  const name = (one) => (one.getAttribute('aria-label') ?? '').trim() || (one.innerText ?? '').trim() ||
    [...(one.labels ?? [])].map((label) => label.innerText.trim()).join(' ') ||
    document.getElementById(one.getAttribute('aria-labelledby') ?? '')?.innerText;
  for (const one of document.querySelectorAll('button, a[href], input, select, textarea, summary, [role=img], [role=region], [role=search], nav, section')) {
    if (seen(one) && !name(one)) troubles.push('no name: ' + one.outerHTML.slice(0, 80));
  }
  const headings = [...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1) troubles.push('main headings: ' + headings.filter((level) => level === 1).length);
  headings.forEach((level, n) => { if (n > 0 && level > headings[n - 1] + 1) troubles.push('a heading is left out before h' + level); });
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of new Set(ids.filter((one, n) => ids.indexOf(one) !== n))) troubles.push('twice: #' + id);
  for (const table of document.querySelectorAll('table:not(.u-legend)')) {
    if (table.querySelector('th[scope=col]') === null) troubles.push('a table without headers');
  }
  for (const rule of ['main', 'nav', 'header', 'html[lang]', 'title']) if (document.querySelector(rule) === null) troubles.push('no ' + rule);
  if (document.documentElement.scrollWidth > innerWidth) troubles.push('wider than the screen by ' + (document.documentElement.scrollWidth - innerWidth));
  const wide = matchMedia('(max-width: 760px)').matches ? 24 : 0;
  for (const one of document.querySelectorAll('button, nav a')) {
    const { height } = one.getBoundingClientRect();
    if (seen(one) && height < wide) troubles.push('too small to touch: ' + name(one));
  }
  return troubles;
})()`;
