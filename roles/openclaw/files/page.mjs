// Loads the page for people as a browser does that has never been here: its HTML, and every script and style that this names.

const loaded = async (url, headers) => {
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(10_000) });
  return { status: answer.status, type: answer.headers.get('content-type') ?? '', text: await answer.text() };
};

/** Resolves to {problems, lines}. `way` says for people how it was asked. */
export const loadPage = async (base, way) => {
  const began = performance.now();
  const problem = (why) => ({ problems: [`The page for people does not load ${way}: ${why}`], lines: [] });
  try {
    const lines = [];
    let headers = {}, index = await loaded(base, headers);
    // Who comes from an address of openclaw_trusted_proxies is taken for a proxy, and has to say for whom it asks.
    if (index.status === 403 && index.text.includes('proxy_attribution_required')) {
      headers = { 'x-forwarded-for': '192.0.2.1' };
      index = await loaded(base, headers);
      lines.push('Pods have addresses of openclaw_trusted_proxies. A proxy that sees people come with one, as behind a load balancer that '
        + 'puts its own address in (externalTrafficPolicy: Cluster), gets 403 for them');
    }
    if (index.status !== 200 || !index.text.includes('data-openclaw-control-ui-build-id')) {
      return problem(`${base} answers ${index.status} ${index.text.slice(0, 200)}`);
    }
    const named = [...index.text.matchAll(/<(?:script|link)\b[^>]*\b(?:src|href)="([^"]+\.(?:js|css))"/g)].map(([, path]) => path);
    if (!named.some((path) => path.endsWith('.js'))) return problem('it names no script');
    const files = await Promise.all(named.map(async (path) => ({ path, ...await loaded(new URL(path, base), headers) })));
    // A path that OpenClaw does not know may be answered with its page and 200.
    const wrong = files.filter(({ status, type, text }) => status !== 200 || !text || !/javascript|css/.test(type));
    if (wrong.length) return problem(wrong.map(({ path, status, type }) => `${path} answers ${status} ${type}`).join(', '));
    const size = [index, ...files].reduce((sum, { text }) => sum + text.length, 0);
    const took = ((performance.now() - began) / 1000).toFixed(2);
    lines.unshift(`The page for people and its ${files.length} files (${Math.round(size / 1000)} kB) load ${way} in ${took} s`);
    return { problems: [], lines };
  } catch (error) { return problem(error.cause?.message ?? error.message); }
};
