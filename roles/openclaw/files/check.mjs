// Runs once in a pod of its own, before anything is applied, and prints as JSON what would not work and what was seen.
// Asks OpenClaw whether it takes the config, LiteLLM whether it takes its key and has the fallbacks, and Anthropic whether it takes the
// token and knows the primary. Keys come in the environment and go only where they belong.
// The argument is a JSON object: config (text), litellm (its models in the chain), anthropic (the primary, if it is one), aliases (as the
// pod will have them), seconds (that the check of the config may take), token and key (where they are from, for people).
import { spawnSync } from 'node:child_process';
import { lookup } from 'node:dns';
import { writeFileSync } from 'node:fs';
import { request as http } from 'node:http';
import { request as https } from 'node:https';
import { rootCertificates } from 'node:tls';

const ask = JSON.parse(process.argv[1]);
const config = JSON.parse(ask.config);
const { anthropic, litellm } = config.models?.providers ?? {};
const problems = [], lines = [];

const hidden = (text) => ['LITELLM_API_KEY', 'ANTHROPIC_OAUTH_TOKEN'].map((name) => process.env[name])
  .filter((value) => value?.length >= 8).reduce((before, value) => before.replaceAll(value, '********'), String(text));

// As the gateway's pod will, which this one is not.
const aliases = new Map(ask.aliases.flatMap(({ ip, hostnames }) => hostnames.map((name) => [name, ip])));
const resolve = (name, options, done) => {
  const address = aliases.get(name);
  if (!address) return lookup(name, options, done);
  const family = address.includes(':') ? 6 : 4;
  return options.all ? done(null, [{ address, family }]) : done(null, address, family);
};

/** Resolves to {status, text}; status 0 and the reason when no answer came. */
const get = (url, headers) => new Promise((settle) => {
  const trusted = process.env.EXTRA_CA ? { ca: [...rootCertificates, process.env.EXTRA_CA] } : {};
  const failed = (error) => settle({ status: 0, text: error.code ? `${error.code} ${error.message}` : error.message });
  try {
    const sent = (url.startsWith('https:') ? https : http)(url, { headers, timeout: 10_000, lookup: resolve, ...trusted }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('error', failed)
        .on('end', () => settle({ status: answer.statusCode, text }));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in 10 s'))).on('error', failed).end();
  } catch (error) { failed(error); }
});

const checkConfig = () => {
  writeFileSync('/tmp/openclaw.json', ask.config);
  const places = { OPENCLAW_CONFIG_PATH: '/tmp/openclaw.json', OPENCLAW_STATE_DIR: '/tmp/state', XDG_CACHE_HOME: '/tmp/.cache' };
  const how = { env: { ...process.env, ...places }, encoding: 'utf8', timeout: ask.seconds * 1000 };
  const ran = spawnSync(process.execPath, ['openclaw.mjs', 'config', 'validate', '--json'], how);
  let said;
  try { said = JSON.parse(ran.stdout.slice(ran.stdout.indexOf('{'))); } catch {
    problems.push(`OpenClaw could not check its config: ${hidden(ran.stderr || ran.stdout || ran.error).trim().slice(-500)}`);
    return;
  }
  const refuse = (why) => problems.push(`OpenClaw does not take its config: ${hidden(why)}`);
  for (const { path, message } of said.issues ?? []) refuse(`${path || 'at the top'}: ${message}`);
  if (!said.valid && !said.issues?.length) refuse(said.error?.message ?? ran.stderr);
  for (const each of said.warnings ?? []) lines.push(`OpenClaw warns of its config: ${hidden(each.message ?? JSON.stringify(each))}`);
};

const checkLitellm = async () => {
  const url = `${litellm.baseUrl.replace(/\/$/, '')}/models`;
  const { status, text } = await get(url, { authorization: `Bearer ${process.env.LITELLM_API_KEY}` });
  let served;
  try { served = JSON.parse(text).data.map((each) => each.id); } catch { /* told below */ }
  // Without a database LiteLLM answers a wrong key with 400.
  if ([401, 403].includes(status) || (status === 400 && /no.?connected.?db/i.test(text))) {
    problems.push(`LiteLLM refuses the key ${ask.key} (${status}): `
      + 'has LiteLLM been started since that was changed?');
  } else if (!served) {
    problems.push(`LiteLLM does not answer at ${url}: ${status || ''} ${hidden(text).slice(0, 300)}`.replace(/ +/g, ' '));
  } else {
    const missing = ask.litellm.filter((name) => !served.includes(name));
    const told = `LiteLLM does not serve ${missing.join(', ')}, which the fallbacks name. It serves ${served.join(', ')}`;
    if (missing.length) problems.push(told);
  }
};

const checkAnthropic = async () => {
  const token = process.env.ANTHROPIC_OAUTH_TOKEN;
  const url = `${(anthropic.baseUrl ?? 'https://api.anthropic.com').replace(/\/v1\/?$|\/$/, '')}/v1/models/${ask.anthropic}`;
  const credential = token.includes('sk-ant-oat')
    ? { authorization: `Bearer ${token}`, 'anthropic-beta': 'oauth-2025-04-20' } : { 'x-api-key': token };
  const { status, text } = await get(url, { ...credential, 'anthropic-version': '2023-06-01' });
  if (status === 401) {
    problems.push(`Anthropic refuses the token ${ask.token} (401): it is wrong, or has expired. `
      + 'Get a new one with `claude setup-token`');
  } else if (status === 404) {
    problems.push(`Anthropic has no model ${ask.anthropic} for this token`);
  } else if (status !== 200) {
    // That it is down is what the fallbacks are for, and whether the token may list models is no matter.
    lines.push(`Anthropic did not tell whether it has ${ask.anthropic}: ${status || ''} ${hidden(text).slice(0, 200)}`.replace(/ +/g, ' '));
  }
};

checkConfig();
await Promise.all([
  ask.litellm.length && litellm?.baseUrl ? checkLitellm() : null,
  ask.anthropic && anthropic && !anthropic.request?.proxy ? checkAnthropic() : null,
]);
console.log(JSON.stringify({ problems, lines }));
