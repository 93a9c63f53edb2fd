// Full turns of one conversation, with tools and all, one after another as a person has them: each prints a line of JSON when it is over.
// Its argument is a JSON object: turns, pause (seconds between two), limit (seconds of one). The role's gateway.mjs comes before it in the same
// text, and it runs in the gateway's container: from elsewhere the token alone carries no right.

/** Ask in a conversation. `first` is the seconds to the first word, null without one. */
const turn = async (client, conversation, question, limit) => {
  const began = performance.now();
  let first = null;
  const listener = (event, { sessionKey, stream }) => {
    if (event === 'agent' && sessionKey === conversation && stream === 'assistant') first ??= (performance.now() - began) / 1000;
  };
  client.listeners.add(listener);
  const asked = { message: question, sessionKey: conversation, idempotencyKey: crypto.randomUUID() };
  const answer = ended(await client.call('agent', asked, limit));
  client.listeners.delete(listener);
  return { ...answer, first };
};

const { turns, pause, limit } = JSON.parse(process.argv[1]);
const client = await connect(process.env.OPENCLAW_GATEWAY_TOKEN);
const conversation = `agent:main:bench-${crypto.randomUUID().slice(0, 8)}`;
for (let number = 1; number <= turns; number += 1) {
  if (number > 1) await new Promise((resolve) => { setTimeout(resolve, pause * 1000); });
  console.log(JSON.stringify({ at: Date.now() / 1000, ...await turn(client, conversation, 'Reply with the word OK.', limit) }));
}
// Not for long: a turn that nobody waits for any more may still be under way in it.
await client.call('sessions.delete', { key: conversation }, 5);
process.exit(0);
