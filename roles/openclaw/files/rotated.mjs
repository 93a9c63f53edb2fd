// Asks who knew the tokens before whether they still take them, and prints as JSON what is wrong and what a person wants to read. The old
// ones are in the environment, as …_PREVIOUS, and stay there. The argument is a JSON list of the tokens that were changed.
// files/gateway.mjs comes before it in the same text.

const changed = JSON.parse(process.argv[1]);
const problems = [], lines = [];

if (changed.includes('OPENCLAW_GATEWAY_TOKEN')) {
  try {
    (await connect(process.env.OPENCLAW_GATEWAY_TOKEN)).close();
    lines.push('The gateway takes the new token');
  } catch (error) { problems.push(`The gateway does not take the new token: ${error.message}`); }
  try {
    (await connect(process.env.OPENCLAW_GATEWAY_TOKEN_PREVIOUS)).close();
    problems.push('The gateway still takes the token before');
  } catch (error) {
    const refused = /unauthorized|token[ _]mismatch/i.test(error.message);
    (refused ? lines : problems).push(refused ? 'The gateway refuses the token before'
      : `Whether the gateway refuses the token before is not known: ${error.message.slice(0, 200)}`);
  }
}

if (changed.includes('ANTHROPIC_OAUTH_TOKEN')) {
  const token = process.env.ANTHROPIC_OAUTH_TOKEN_PREVIOUS ?? '';
  const credential = token.includes('sk-ant-oat')
    ? { authorization: `Bearer ${token}`, 'anthropic-beta': 'oauth-2025-04-20' } : { 'x-api-key': token };
  const how = { headers: { ...credential, 'anthropic-version': '2023-06-01' }, signal: AbortSignal.timeout(10_000) };
  const { status } = await fetch('https://api.anthropic.com/v1/models', how).catch(() => ({ status: 0 }));
  if (status === 401) lines.push('Anthropic refuses the token before');
  else if (status === 200) lines.push('The token before is still valid at Anthropic: only there can it be revoked, on the page where it was made');
  else lines.push(`Anthropic did not tell whether it still takes the token before (${status || 'no answer'})`);
}
console.log(JSON.stringify({ problems, lines }));
process.exit(0);
