// Asks the gateway in this container, and prints as JSON what is wrong and what a person wants to read.
// Its argument is a JSON object: chain, by_name (models to ask for as well), litellm_url, strict, timeout. Keys are in the environment and
// stay there.
// files/gateway.mjs and files/page.mjs come before it in the same text.
import { lookup } from 'node:dns/promises';

const asked = JSON.parse(process.argv[1]);
const [primary] = asked.chain;
const problems = [], lines = [];
const secrets = ['ANTHROPIC_OAUTH_TOKEN', 'LITELLM_API_KEY', 'OPENCLAW_GATEWAY_TOKEN']
  .map((name) => process.env[name]).filter((value) => value?.length >= 8);
const hidden = (text) => secrets.reduce((before, value) => before.replaceAll(value, '********'), String(text)).slice(0, 300);
const took = (began) => `${((performance.now() - began) / 1000).toFixed(2)} s`;

const reachLitellm = async () => {
  const { hostname } = new URL(asked.litellm_url);
  let began = performance.now();
  try { await lookup(hostname); } catch (error) {
    problems.push(`${hostname} does not resolve in the pod (${error.code}): is LiteLLM deployed, and the name server reached?`);
    return;
  }
  const resolved = took(began);
  began = performance.now();
  try {
    const headers = { authorization: `Bearer ${process.env.LITELLM_API_KEY}` };
    const answer = await fetch(`${asked.litellm_url.replace(/\/$/, '')}/models`, { headers, signal: AbortSignal.timeout(10_000) });
    if (answer.ok) lines.push(`${hostname} resolves in ${resolved} and answers in ${took(began)}`);
    else problems.push(`LiteLLM answers ${answer.status} to the gateway's key: ${hidden(await answer.text())}`);
  } catch (error) {
    problems.push(`LiteLLM does not answer at ${asked.litellm_url}: ${hidden(error.cause?.message ?? error.message)}`);
  }
};

const tokens = async (client) => {
  const { ok, payload, error } = await client.call('models.authStatus');
  if (!ok) { problems.push(`The gateway does not tell the state of its tokens: ${hidden(error?.message)}`); return; }
  for (const provider of new Set(asked.chain.map((each) => each.split('/')[0]))) {
    const found = payload.providers?.find((each) => each.provider === provider);
    if (found) lines.push(`Token of ${provider}: ${found.status}${found.apiKey?.envVar ? `, from ${found.apiKey.envVar}` : ''}`);
    else problems.push(`The gateway knows of no token for ${provider}, so its page would not show one`);
  }
};

const after = (failed) => failed.map(({ who, why, error }) => `${who} failed (${why || 'no reason'}: ${hidden(error)})`).join(', ');

/** Asks again after a silence: its first turns keep a gateway that has just started so busy that it may hear the first word too late. */
const firstAnswer = async (client) => {
  for (let left = 2; ; left -= 1) {
    const turn = await ask(client, 'Reply with the word OK.', {}, asked.timeout);
    const silent = turn.failed.find(({ who, why }) => who === primary && why === 'timeout');
    if (!left || turn.error || turn.by === primary || !silent) return turn;
    lines.push(`${after([silent])}, so it is asked again`);
  }
};

const answers = async (client) => {
  const first = await firstAnswer(client);
  const told = `answered in ${first.seconds.toFixed(2)} s`;
  if (first.error || !first.text) problems.push(`Nobody answered: ${hidden(first.error || 'an empty answer')}`);
  else if (first.by === primary) lines.push(`${primary} ${told}`);
  else {
    const why = after(first.failed) || 'nobody says why';
    (asked.strict ? problems : lines).push(`${primary} did not answer, ${first.by} ${told} in its place: ${why}`);
  }
  for (const name of asked.by_name) {
    const [provider, ...model] = name.split('/');
    const answer = await ask(client, 'Reply with the word OK.', { provider, model: model.join('/') }, asked.timeout);
    if (answer.error || !answer.text) problems.push(`The fallback ${name} does not answer: ${hidden(answer.error || 'an empty answer')}`);
    else if (answer.by !== name) problems.push(`The fallback ${name} was asked and ${answer.by} answered: ${after(answer.failed)}`);
    else lines.push(`${name} answered in ${answer.seconds.toFixed(2)} s`);
  }
};

try {
  const client = await connect(process.env.OPENCLAW_GATEWAY_TOKEN);
  // Through the Service another pod loads the page: this one's own network policy may keep it from there.
  const loading = loadPage('http://127.0.0.1:18789/', 'within the pod');
  await Promise.all([asked.litellm_url ? reachLitellm() : null, tokens(client)]);
  await answers(client);
  const page = await loading;
  problems.push(...page.problems.map(hidden));
  lines.push(...page.lines);
} catch (error) { problems.push(`The gateway does not talk to us: ${hidden(error.message)}`); }
console.log(JSON.stringify({ problems, lines }));
process.exit(0);
