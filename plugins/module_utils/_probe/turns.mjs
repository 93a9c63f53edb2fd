// Takes turns with the OpenClaw gateway in this container, by the clock, and writes down what came back: the worker of the protocol
// `openclaw`. gateway.mjs of the role openclaw comes before it in the same text.
//
// Its argument is the spec of worker.py, with "look" (the spec of watcher.py) beside it and, for each load, "turn": "full" as a person has
// it, with tools and a conversation, or "light". Standard input takes worker.py's commands; its end is an `abort`. Standard output has the
// lines of worker.py and of watcher.py. Keys are in the environment and stay there.
//
// One person has one turn at a time: the next one is due at its time by the rate, or when the one before it has ended.
import { rm } from 'node:fs/promises';
import { connect as reach } from 'node:net';
import { createInterface } from 'node:readline';

const spec = JSON.parse(process.argv[1]);
// The clock that every process of this machine has.
const now = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (seconds) => new Promise((wake) => { setTimeout(wake, Math.max(0, seconds) * 1000); });
const emit = (kind, fields) => process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`);

// What a record keeps: as worker.py does.
const SAID = 80, ERROR = 400, FRAGMENT = 12;
const keys = Object.entries(process.env).filter(([name, value]) => /KEY|TOKEN|SECRET|PASSWORD/.test(name) && value.length >= 8);
const fragments = new Set(keys.flatMap(([, value]) => [value, encodeURIComponent(value), Buffer.from(value).toString('base64').replace(/=+$/, '')])
  .flatMap((form) => [...Array(Math.max(1, form.length - FRAGMENT + 1)).keys()].map((at) => form.slice(at, at + FRAGMENT))));
const masked = (text) => {
  const hidden = new Set();
  for (const part of fragments) {
    for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) for (let each = 0; each < part.length; each += 1) hidden.add(at + each);
  }
  return text.split('').map((char, at) => (hidden.has(at) ? '\0' : char)).join('').replace(/\0+/g, '********');
};
const ends = (text) => (text.length <= 2 * SAID ? text : `${text.slice(0, SAID)} … ${text.slice(-SAID)}`);

const run = crypto.randomUUID().slice(0, 8);
// In the name of each conversation: whose it is, and when it was to be over (seconds since 1970), so that one that was left is known as such.
const PREFIX = 'agent:main:failover-probe-';
const expires = Math.ceil(Date.now() / 1000 + spec.seconds + spec.grace_s);
// A conversation grows with each turn, and OpenClaw would begin to shorten it.
const TURNS = 40;
const FILLER = 'the node is asked for a short answer and this text is only here to give it something to read before it says so '.split(' ');

let began, client, hasEnded = false, over = '', sent = 0, done = 0, underWay = 0, wake = () => {};
const woken = new Promise((resolve) => { wake = resolve; });
const stop = (why) => { over ||= why; wake(); };

/** The client; a new one when the connection was lost, as a page makes it. */
const gateway = async () => {
  if (!client || client.isClosed()) client = await connect(process.env.OPENCLAW_GATEWAY_TOKEN);
  return client;
};

/** Take one turn and note in `record` what came of it, whatever it was. */
const take = async (record, load, conversation, question) => {
  let answer;
  const listener = (event, { sessionKey, stream, data }) => {
    if (event !== 'agent' || sessionKey !== conversation) return;
    // What a model said before it failed is taken back: the next one begins.
    if (stream === 'lifecycle' && data?.phase === 'model' && data.provider) record.t_first = null;
    if (stream === 'assistant' && data?.text) { record.t_first ??= now(); record.chunks += 1; }
  };
  try {
    const asked = await gateway();
    record.t_connected = now();
    record.version = asked.version;
    asked.listeners.add(listener);
    answer = load.turn === 'light' ? await ask(asked, question, {}, spec.timeout_s) : ended(await asked.call('agent', {
      message: question, sessionKey: conversation, idempotencyKey: crypto.randomUUID(),
    }, spec.timeout_s));
    asked.listeners.delete(listener);
  } catch (error) { answer = { error: error.message, code: 'CLOSED', text: '', by: '', failed: [] }; }
  record.t_end = now();
  const finish = { LATE: 'timeout', CLOSED: 'no_answer' }[answer.code] ?? (answer.error ? 'error' : 'done');
  record.finish = finish === 'done' && !answer.text ? 'empty' : finish;
  if (!['done', 'empty'].includes(record.finish)) record.t_first = null;
  record.model = record.model_group = answer.by;
  record.fallbacks = answer.by ? String(answer.failed.length) : '';
  record.attempts = masked(answer.failed.map(({ who, why, error }) => `${who} (${why || error})`).join(', ')).slice(0, ERROR);
  record.error = masked(answer.error).slice(0, ERROR);
  record.chars = answer.text.length;
  record.said = ends(masked(answer.text));
};

const finish = (record) => {
  done += 1;
  emit('request', Object.fromEntries(Object.entries(record).filter(([, value]) => value !== '' && value !== null)));
};

/** One person: turn after turn, until it is over. */
const person = async (load, first) => {
  const filler = Array.from({ length: Math.max(0, load.prompt_tokens - 2) }, (_each, at) => FILLER[at % (FILLER.length - 1)]).join(' ');
  for (let number = 0, due = first; !over; number += 1) {
    await Promise.race([sleep(due - now()), woken]);
    if (over) return;
    const stream = load.stream === 'both' ? number % 2 === 1 : load.stream;
    const conversation = `${PREFIX}${run}-${expires}-${spec.loads.indexOf(load)}-${Math.floor(number / TURNS)}`;
    const record = {
      id: `${load.name}-${number}`, load: load.name, asked: load.model, stream, t_due: due, t_start: now(), t_connected: null, t_first: null,
      t_end: null, reused: true, status: 0, finish: 'unfinished', error: '', model: '', chunks: 0, chars: 0, said: '', model_group: '', fallbacks: '',
      attempts: '', version: '',
    };
    sent += 1;
    underWay += 1;
    // What is different comes first, so that no cache can know it.
    const question = `${crypto.randomUUID()}-${number}: ${filler} ${load.prompt_suffix}`.trim();
    const abandoned = new Promise((resolve) => { woken.then(() => sleep(spec.grace_s)).then(() => resolve('left')); });
    if (await Promise.race([take(record, load, conversation, question), abandoned]) === 'left') record.t_end = now();
    underWay -= 1;
    finish(record);
    due = Math.max(due + 1 / load.rate, now());
  }
};

/** Say each second that the worker is there, as long as there is something to wait for. */
const beat = async () => {
  for (let number = 1; ; number += 1) {
    await sleep(began + number - now());
    if (hasEnded) return;
    const late = now() - began - number;
    emit('beat', { t_mono: now(), wall: Date.now() / 1000, sent, done, in_flight: underWay, late_s: late });
    number += Math.max(0, Math.floor(late));
  }
};

/** Remove this run's conversations, and those of runs that were killed before they could. */
const tidy = async () => {
  try {
    const asked = await gateway();
    const { payload } = await asked.call('sessions.list', { limit: 1000 }, 5);
    for (const { key } of payload?.sessions ?? []) {
      const [, whose, until] = key.startsWith(PREFIX) ? key.slice(PREFIX.length).match(/^([0-9a-f]+)-(\d+)-/) ?? [] : [];
      // One in which a turn is still under way is not waited for: a later run finds it.
      if (whose !== run && !(Number(until) < Date.now() / 1000)) continue;
      const gone = await asked.call('sessions.delete', { key }, 5);
      // OpenClaw keeps a copy of what is deleted.
      for (const copy of gone.payload?.archived ?? []) await rm(copy, { force: true });
    }
  } catch { /* a gateway that is gone: the next run does it */ }
};

/** What the gateway is set up to ask, in which order. */
const look = async () => {
  const found = { served: [], tiers: {}, error: '' };
  try {
    const { ok, payload, error } = await (await gateway()).call('config.get', {}, 20);
    if (!ok) throw new Error(error?.message);
    const { agents, models } = payload.config;
    const own = agents.entries?.main?.model ?? agents.defaults.model;
    const chain = [own.primary ?? own, ...(own.fallbacks ?? agents.defaults.model.fallbacks ?? [])];
    const providers = Object.entries(models?.providers ?? {});
    found.served = [...new Set([...chain, ...providers.flatMap(([name, each]) => (each.models ?? []).map(({ id }) => `${name}/${id}`))])];
    for (const model of found.served) {
      const { timeoutSeconds } = models?.providers?.[model.split('/')[0]] ?? {};
      found.tiers[model] = [{ model, api_base: '', settings: timeoutSeconds ? { timeoutSeconds } : {} }];
    }
    const other = spec.loads.find(({ model }) => model !== chain[0]);
    if (other) found.error = `asks ${chain[0]} first, and the drill says ${other.model}`;
  } catch (error) { found.error = `does not tell its config: ${masked(error.message)}`; }
  emit('look', found);
};

const sumOf = (page, metric) => {
  const [name, labels = ''] = metric.split('{');
  const pairs = (text) => [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((each) => each[0]);
  return page.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => pairs(labels).every((pair) => pairs(line).includes(pair)))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
};

/** Read a counter each second, also while the last turns end. Resolves after the first time. */
const count = ({ tier, url, metric, path }) => new Promise((first) => {
  const read = async () => {
    const at = now();
    let value = 0, error = '';
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      value = path.length ? Number(path.reduce((within, key) => within[key], await answer.json())) : sumOf(await answer.text(), metric);
      if (Number.isNaN(value)) throw new Error('no number');
    } catch (failure) { error = masked(failure.cause?.message ?? failure.message); }
    emit('count', { tier, value: error ? 0 : value, t_mono: at, seconds: now() - at, error });
    first();
    setTimeout(read, Math.max(0, at + 1 - now()) * 1000);
  };
  read();
});

/** See ten times a second whether somebody takes connections at an address; nothing is sent. */
const watch = ({ name, url }) => {
  const { hostname, port, protocol } = new URL(url);
  let known = null, newest = 0;
  const once = () => {
    const at = now();
    const told = (why) => {
      socket.destroy();
      if (at < newest) return;
      newest = at;
      if (known !== !why) emit('state', { target: name, up: known = !why, t_mono: why.startsWith('no answer') ? at : now(), why });
    };
    const socket = reach({ host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80), timeout: 1000 });
    socket.once('connect', () => told('')).once('timeout', () => told('no answer in 1 s')).once('error', (error) => told(error.code ?? error.message));
  };
  once();
  setInterval(once, 100);
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, ...rest] = line.split(' ');
  if (word === 'ping') emit('pong', { id: rest.join(' '), t_mono: now() });
  else if (['stop', 'abort'].includes(word)) { if (word === 'abort') spec.grace_s = 0; stop(word); }
}).on('close', () => { spec.grace_s = 0; stop('abort'); });
process.stdout.on('error', () => { spec.grace_s = 0; stop('abort'); });

try {
  await gateway();
  await tidy();
  spec.look.targets.forEach(watch);
  await Promise.all(spec.look.counters.map(count));
  await look();
  began = now();
  emit('hello', { t_mono: began, wall: Date.now() / 1000, version: 1, node: process.version, loads: spec.loads.map(({ name }) => name) });
  setTimeout(() => stop('seconds'), spec.seconds * 1000);
  const apart = 1 / spec.loads.length;
  const people = spec.loads.map((load, place) => person(load, began + 0.05 + place * apart * Math.min(1, 1 / load.rate)));
  beat();
  await Promise.all(people);
  // Somebody waits for the last line; what is not done by then goes on after it.
  const tidied = tidy();
  await Promise.race([tidied, sleep(5)]);
  hasEnded = true;
  emit('end', { t_mono: now(), wall: Date.now() / 1000, sent, done, why: over });
  // The counters are read once more, and somebody reads all of this.
  await Promise.all([tidied, over === 'stop' ? sleep(3) : null]);
} catch (error) { emit('error', { text: masked(`the gateway does not let the probe in: ${error.message}`) }); }
process.stdout.write('', () => process.exit(0));
