// Runs before the gateway, on its volume: makes sure that the volume is this gateway's, and writes the agent's settings.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const [owner] = process.argv.slice(1);
const state = `${process.env.HOME ?? '/home/node'}/.openclaw`;
const agent = `${state}/agents/main/agent`;

const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
// At once or not at all: a pod can be ended at any moment.
const write = (path, text) => { writeFileSync(`${path}.new`, text, { mode: 0o600 }); renameSync(`${path}.new`, path); };
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const merged = (below, above) => (isObject(below) && isObject(above)
  ? Object.fromEntries([...new Set([...Object.keys(below), ...Object.keys(above)])]
    .map((key) => [key, key in above ? merged(below[key], above[key]) : below[key]]))
  : above);

// Two gateways on one volume would write into one database, each with locks that the other cannot see.
const mark = `${state}/.homelab-llm-owner`;
const found = read(mark).trim();
if (found && found !== owner) {
  console.error(`This volume is that of the gateway ${found}, and ${owner} must not write to it: give it a claim of its own `
    + `(openclaw_claim). If ${found} is gone for good, remove the file ${mark.slice(state.length + 1)} from the volume.`);
  process.exit(1);
}
if (!found) write(mark, `${owner}\n`);

mkdirSync(agent, { recursive: true, mode: 0o700 });
const settings = `${agent}/settings.json`;
let before = {};
try { before = JSON.parse(read(settings) || '{}'); } catch { console.error(`${settings} was no JSON and is written anew`); }
const after = JSON.stringify(merged(isObject(before) ? before : {}, JSON.parse(read('/etc/openclaw/settings.json'))), null, 1);
if (after !== JSON.stringify(before, null, 1)) write(settings, after);
