// @ts-check
/**
 * What the widget says. A file a language, text.TAG.js: `face` has what is seen at once, `panels`
 * what is behind the links. They are served apart (the latter as panels.TAG.js, tools/assets), so
 * that a visitor fetches one language and of that only what is shown. A message is a string, or
 * forms by plural category (Intl.PluralRules); {n} is that number, other names other values.
 */

export const LANGUAGES = [
  'en', 'zh-Hans', 'zh-Hant', 'fa', 'ar', 'ru', 'ug', 'ko', 'es', 'fr', 'vi', 'my',
];

/** @typedef {string | { [category: string]: string }} Message */
/** @typedef {Record<string, Message>} Messages */

/** The language being spoken. */
export let lang = '';
/** @type {Messages} */ let messages = {};
/** @type {Promise<void> | undefined} */ let panels;

/**
 * @param {string} wish a BCP 47 tag; anything else: the visitor's
 * @returns {string} of LANGUAGES
 */
export function choose(wish) {
  for (const tag of [wish, ...navigator.languages]) {
    try {
      const { language, script } = new Intl.Locale(tag).maximize();
      const name = language === 'zh' ? `zh-${script}` : language;
      if (LANGUAGES.includes(name)) return name;
    } catch { /* no tag */ }
  }
  return 'en';
}

/** @param {string} name of LANGUAGES */
export async function speak(name) {
  const { face } = await import(`./text.${name}.js`);
  lang = name;
  messages = face;
  panels = undefined;
  document.documentElement.lang = name;
  document.documentElement.dir = face.dir;
}

/** Fetches what is behind the links, in the language being spoken. */
export function speakMore() {
  const name = lang;
  return panels ??= (async () => {
    // Unbuilt, and in the extension, both are one file.
    const module = await import(`./text.${name}.js`);
    const more = module.panels ?? (await import(`./panels.${name}.js`)).panels;
    if (lang === name) messages = { ...messages, ...more, ...module.extension };
  })();
}

/** @param {number} n */
export const number = (n) => new Intl.NumberFormat(lang).format(n);

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] n decides the plural's form
 * @returns {string}
 */
export function text(key, values = {}) {
  const message = messages[key] ?? '';
  const form = typeof message === 'string' ? message
    : message[new Intl.PluralRules(lang).select(Number(values.n))];
  return form.replace(/{(\w+)}/g, (_, name) =>
    typeof values[name] === 'number' ? number(values[name]) : values[name]);
}

/**
 * @param {number} n
 * @param {string[]} units each a thousand of the one before
 */
function scaled(n, units) {
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  return new Intl.NumberFormat(lang, {
    style: 'unit',
    unit: units[unit],
    unitDisplay: units[unit] === 'byte' ? 'long' : 'short',
    maximumFractionDigits: unit > 1 && n < 100 ? 1 : 0,
  }).format(n);
}

/** @param {number} n @returns {string} "12.3 MB" */
export const bytes = (n) => scaled(n, ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']);

/** @param {number} n bit/s @returns {string} "1.2 Mb/s" */
export const speed = (n) => scaled(n, ['bit', 'kilobit', 'megabit', 'gigabit']
  .map((unit) => `${unit}-per-second`));

/** @param {string} code of ISO 3166-1 @returns {string} its name, '' where there is none */
export function country(code) {
  if (!/^[A-Z]{2}$/.test(code)) return '';
  return new Intl.DisplayNames(lang, { type: 'region', fallback: 'none' }).of(code) ?? '';
}
